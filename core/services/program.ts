/**
 * What a process runtime has to run for one replica: its command line, its environment and its
 * ports. Only `$PORT`, `$PORT_<ENDPOINT>` and `$WEIR_<NAME>` (also as `${...}`) are expanded;
 * every other `$` is left alone, there is no shell.
 */
import type { Program } from '../node/commands.ts'
import type { ServiceSpec } from '../spec/deployment.ts'
import type { ReplicaName } from './identity.ts'

export interface ProgramInput {
  readonly replica: ReplicaName
  readonly role: string
  readonly spec: ServiceSpec
  /** The deployment file's, absolute. */
  readonly directory: string
  /** Endpoint name to port. */
  readonly ports: Readonly<Record<string, number>>
}

export function buildProgram({ replica, role, spec, directory, ports }: ProgramInput): Program {
  const group = spec.replicaGroups.find((each) => each.role === role)
  const command = group?.command ?? spec.command
  const own: Record<string, string> = {
    WEIR_DEPLOYMENT: replica.deployment,
    WEIR_SERVICE: replica.service,
    WEIR_REPLICA: String(replica.number),
    WEIR_ROLE: role,
  }
  for (const endpoint of spec.endpoints) {
    const port = ports[endpoint.name]
    if (port === undefined) continue
    own.PORT ??= String(port)
    own[portVariable(endpoint.name)] = String(port)
  }
  const expand = (text: string): string => expandOwn(text, own)
  const env: Record<string, string> = {}
  for (const [name, value] of Object.entries({ ...spec.env, ...group?.env })) {
    env[name] = isReference(value) ? value : expand(value)
  }
  return {
    argv: [...command.entrypoint, ...command.args].map(expand),
    directory: joinDirectory(directory, command.workdir),
    env: { ...env, ...own },
    envInherit: spec.envInherit,
    ports,
    udpEndpoints: spec.endpoints.flatMap(({ name, protocol }) =>
      protocol === 'udp' && ports[name] !== undefined ? [name] : [],
    ),
    logs: spec.logs,
  }
}

/** `PORT_ADMIN_API` for the endpoint `admin-api`. */
export const portVariable = (endpoint: string): string =>
  `PORT_${endpoint.toUpperCase().replace(/[^A-Z0-9]/g, '_')}`

const isReference = (value: string): boolean => /^\$[ES]:/.test(value)

const expandOwn = (text: string, own: Readonly<Record<string, string>>): string =>
  text.replace(
    /\$(?:\{(PORT|PORT_[A-Z0-9_]+|WEIR_[A-Z0-9_]+)\}|(PORT_[A-Z0-9_]+|WEIR_[A-Z0-9_]+|PORT)(?![A-Za-z0-9_]))/g,
    (whole, braced: string | undefined, bare: string | undefined) =>
      own[braced ?? bare ?? ''] ?? whole,
  )

function joinDirectory(directory: string, workdir: string | undefined): string {
  if (workdir === undefined || workdir === '.') return directory
  return workdir.startsWith('/') ? workdir : `${directory}/${workdir}`
}
