/**
 * Deployment files: YAML text in, a {@link Deployment} or problems as `FILE:LINE:COLUMN: message`
 * out. Nothing an operator can write makes it throw, hang or eat the memory.
 */
import type { PolicyPlace } from '../../../core/policy/policy.ts'
import { type Unbuilt, unbuilt } from '../../../core/spec/built.ts'
import { decodeDeployment } from '../../../core/spec/decode.ts'
import type { Deployment } from '../../../core/spec/deployment.ts'
import { type NodeFinds, unmetNeeds } from '../../../core/spec/node/needs.ts'
import { defaultNodeSettings, type NodeSettings } from '../../../core/spec/node/settings.ts'
import type { Problem } from '../../../core/spec/problem.ts'
import { backendCaProblems, withAbsolutePaths } from './backend-ca.ts'
import { findCertificates } from './certificate-names.ts'
import { problemLines } from './problem-lines.ts'
import { readYaml } from './yaml-tree.ts'

export { jsonSchema } from '../../../core/spec/decode.ts'

export type LoadedDeployment =
  | { readonly ok: true; readonly deployment: Deployment; readonly warnings: readonly string[] }
  | { readonly ok: false; readonly problems: readonly string[] }

/**
 * What can be checked: fields whose work is not built yet are warned of. `file` is only shown. With
 * the settings of a node, what the deployment needs of it and it has not got is a problem, and so is
 * a file, found from `directory`, that cannot be used. Paths stay as they are written.
 */
export function loadDeployment(
  text: string,
  file: string,
  settings?: NodeSettings,
  directory: string = process.cwd(),
): LoadedDeployment {
  return load(text, file, (deployment) => {
    const found = unbuilt(deployment).map(({ path, level, message }) => ({
      path,
      message: level === 'refuse' ? `${message} (weir up refuses it)` : message,
    }))
    if (settings === undefined) return { deployment, refused: [], warned: found }
    const needs = needsOf(deployment, settings)
    const files = backendCaProblems(withAbsolutePaths(deployment, directory))
    return {
      deployment,
      refused: [...needs.filter(isRefused), ...files],
      warned: [...found, ...needs.filter((need) => !isRefused(need))],
    }
  })
}

/**
 * What can be run on a node with these settings: fields whose work is not built yet are refused when
 * ignoring them would lie. Paths in the file are relative to `directory` and become absolute. `places`:
 * what is deployed on the node, this deployment's earlier self included.
 */
export function admitDeployment(
  text: string,
  file: string,
  settings: NodeSettings = defaultNodeSettings,
  directory: string = process.cwd(),
  places: readonly PolicyPlace[] = [],
): LoadedDeployment {
  return load(text, file, (relative) => {
    const deployment = withAbsolutePaths(relative, directory)
    const found = [...unbuilt(deployment), ...needsOf(deployment, settings, places)]
    return {
      deployment,
      refused: [...found.filter(isRefused), ...backendCaProblems(deployment)],
      warned: found.filter((each) => !isRefused(each)),
    }
  })
}

/** Whoever starts the node says what is wrong with a directory that cannot be read. */
function needsOf(
  deployment: Deployment,
  settings: NodeSettings,
  places: readonly PolicyPlace[] = [],
): readonly Unbuilt[] {
  const { certificates } = settings
  const found = certificates === undefined ? undefined : findCertificates(certificates)
  const others = places.filter((place) => place.deployment !== deployment.name)
  const finds: NodeFinds = { others, ...(found?.ok ? { certificateNames: found.names } : {}) }
  return unmetNeeds(deployment, settings, finds)
}

interface Judged {
  readonly deployment: Deployment
  readonly refused: readonly Problem[]
  readonly warned: readonly Problem[]
}

function load(
  text: string,
  file: string,
  judge: (deployment: Deployment) => Judged,
): LoadedDeployment {
  const read = readYaml(text)
  const print = (problems: readonly Problem[]) => problemLines(problems, file, read.positions)
  if (read.tree === undefined) return { ok: false, problems: print(read.problems) }
  if (read.tree === null) return { ok: false, problems: print([EMPTY]) }
  const decoded = decodeDeployment(read.tree)
  if (!decoded.ok || read.problems.length > 0) {
    const problems = decoded.ok ? [] : decoded.problems
    return { ok: false, problems: print([...read.problems, ...problems]) }
  }
  const { deployment, refused, warned } = judge(decoded.deployment)
  if (refused.length > 0) return { ok: false, problems: print(refused) }
  return { ok: true, deployment, warnings: print(warned) }
}

const isRefused = ({ level }: Unbuilt): boolean => level === 'refuse'

const EMPTY: Problem = {
  path: [],
  message: 'the file is empty; begin with version: v1 and a deployment name',
}
