/**
 * The deployment file's one door: a plain tree, as a YAML or JSON reader gives it, becomes a
 * {@link Deployment} or the list of everything that is wrong with it.
 */
import type { Deployment } from './deployment.ts'
import { deploymentFile } from './file/deployment.ts'
import type { Problem } from './problem.ts'
import { checkRedirects } from './redirect.ts'
import { checkDepends } from './rules/depends.ts'
import { checkStreamOfHttp } from './rules/endpoint-keys.ts'
import { checkPorts } from './rules/ports.ts'
import { checkService } from './rules/service.ts'
import { isMap } from './schema/objects.ts'
import { Reading } from './schema/reading.ts'
import type { JsonSchema } from './schema/shape.ts'
import { show, showKey } from './schema/words.ts'

export type Decoded =
  | { readonly ok: true; readonly deployment: Deployment }
  | { readonly ok: false; readonly problems: readonly Problem[] }

/** Never throws. Problems come in the order of the checks; sort them by position to print them. */
export function decodeDeployment(tree: unknown): Decoded {
  const reading = new Reading()
  if (!isMap(tree)) {
    const message = `a deployment file is a map that begins with version: v1, not ${show(tree)}`
    return { ok: false, problems: [{ path: [], message }] }
  }
  const deployment = deploymentFile.read(tree, [], reading)
  if (deployment !== undefined) checkRules(deployment, tree, reading)
  if (deployment === undefined || reading.problems.length > 0) {
    return { ok: false, problems: reading.problems }
  }
  return { ok: true, deployment }
}

/** JSON Schema (draft 2020-12) of the file, for editors. It knows the shape, not the rules. */
export function jsonSchema(): JsonSchema {
  const defs: Record<string, JsonSchema> = {}
  const root = deploymentFile.describe(defs)
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    $id: 'weir-deployment-v1',
    title: 'Weir deployment file',
    ...root,
    $defs: defs,
  }
}

function checkRules(
  deployment: Deployment,
  tree: Readonly<Record<string, unknown>>,
  reading: Reading,
): void {
  const { services } = tree
  const declared = new Set(isMap(services) ? Object.keys(services) : [])
  checkRedirects(deployment, declared, reading)
  for (const spec of Object.values(deployment.services)) checkService(spec, tree, reading)
  for (const { endpoints } of [
    ...Object.values(deployment.services),
    ...Object.values(deployment.externals),
  ]) {
    for (const endpoint of endpoints) checkStreamOfHttp(endpoint, tree, reading)
  }
  checkDepends(deployment, declared, reading)
  for (const name of Object.keys(deployment.externals)) {
    if (!declared.has(name)) continue
    reading.report(['externals', name], `there is a service ${showKey(name)} too; rename one`)
  }
  checkExternals(deployment, reading)
  checkPorts(deployment, reading)
  checkOwnName(deployment, services, reading)
}

/** Externals have no replicas, so nothing can have a role. */
function checkExternals({ externals }: Deployment, reading: Reading): void {
  for (const { endpoints } of Object.values(externals)) {
    for (const endpoint of endpoints) {
      if (endpoint.targetRole === undefined) continue
      const at = [...reading.pathOf(endpoint), 'target_role']
      reading.report(at, 'target_role means nothing for an external; remove it')
    }
  }
}

/** A tool may stamp the deployment's name into each service; another name is a stale copy. */
function checkOwnName({ name }: Deployment, services: unknown, reading: Reading): void {
  if (!isMap(services) || reading.isSpoilt(['deployment'])) return
  for (const [service, spec] of Object.entries(services)) {
    if (!isMap(spec) || typeof spec.deployment !== 'string' || spec.deployment === name) continue
    const at = ['services', service, 'deployment']
    reading.report(at, `deployment must be ${name}, the name of this one, or be left out`, 'value')
  }
}
