/**
 * The environment a program is started with. Values from the host are looked up here, at the
 * spawn, so that none of them is ever in a journal or a snapshot.
 */
import type { Program } from '../../../core/node/commands.ts'
import { parseReplicaId, type ReplicaId, serviceKey } from '../../../core/services/identity.ts'

export type ProgramEnvironment =
  | {
      readonly ok: true
      readonly env: Readonly<Record<string, string>>
      /** Things worth saying that stop nothing. Never holds a value. */
      readonly notices: readonly string[]
    }
  | { readonly ok: false; readonly reason: string }

/** Which life of which program this is; see the design, "Process runtime". */
export interface ProgramIdentity {
  readonly nodeId: string
  readonly replica: ReplicaId
}

/** The entry that every process a node starts carries, and that the node finds it by. */
export const nodeMark = (nodeId: string): string => `WEIR_NODE=${nodeId}`
export const instanceMark = (replica: ReplicaId): string => `WEIR_INSTANCE=${replica}`

export function programEnvironment(
  program: Pick<Program, 'env' | 'envInherit'>,
  identity: ProgramIdentity,
  host: NodeJS.ProcessEnv,
): ProgramEnvironment {
  const { deployment, service } = parseReplicaId(identity.replica)
  const env = inherited(program.envInherit, host)
  const notices: string[] = []
  for (const [name, value] of Object.entries(program.env)) {
    const where = `variable ${name} of service ${serviceKey(deployment, service)}`
    // a whole-value prefix: text before it makes it plain text (`weir check` warns of that)
    if (value.startsWith('$S:')) {
      return { ok: false, reason: `${where}: there is no secrets provider for ${value}` }
    }
    if (!value.startsWith('$E:')) {
      env[name] = value
      continue
    }
    const from = value.slice('$E:'.length)
    const found = host[from]
    if (found === undefined) {
      return { ok: false, reason: `${where}: ${from} is not set in the environment of weir` }
    }
    // Node has replaced what is not UTF-8 before anyone could see it
    if (found.includes('\uFFFD')) {
      return { ok: false, reason: `${where}: ${from} in the environment of weir is not UTF-8` }
    }
    if (found === '') notices.push(`${where}: ${from} is empty in the environment of weir`)
    env[name] = found
  }
  env.WEIR_NODE = identity.nodeId
  env.WEIR_INSTANCE = identity.replica
  return { ok: true, env, notices }
}

function inherited(names: Program['envInherit'], host: NodeJS.ProcessEnv): Record<string, string> {
  const wanted = names === true ? undefined : new Set([...INHERITED, ...names])
  const env: Record<string, string> = {}
  for (const [name, value] of Object.entries(host)) {
    if (value === undefined) continue
    if (wanted === undefined || wanted.has(name) || name.startsWith('LC_')) env[name] = value
  }
  return env
}

const INHERITED = ['PATH', 'HOME', 'USER', 'LANG', 'TZ', 'TMPDIR', 'SHELL']
