/** Nodes with one service called `web`, and what their shells were told. */
import type { NodeCommand } from '../../../../core/node/commands.ts'
import type { NodeEvent } from '../../../../core/node/events.ts'
import type {
  DependencySpec,
  EndpointSpec,
  PortMappingSpec,
  ServiceSpec,
} from '../../../../core/spec/deployment.ts'
import { deploymentOf, endpointOf, ObedientShell, serviceOf } from '../obedient-shell.ts'

export type Of<T extends NodeCommand['type']> = Extract<NodeCommand, { type: T }>

export const typed = <T extends NodeCommand['type']>(
  commands: readonly NodeCommand[],
  type: T,
): Of<T>[] => commands.filter((each): each is Of<T> => each.type === type)

export const fixed = (replicas: number) => ({ mode: 'fixed', replicas }) as const

/** Internal, unless told otherwise. */
export const tcp = (port: number, more: Partial<EndpointSpec> = {}): EndpointSpec =>
  endpointOf({ name: 'tcp', protocol: 'tcp', port, expose: 'internal', ...more })

/** Goes through as it is. */
export const tls = (
  port: number,
  host: string | undefined,
  stream: Partial<EndpointSpec['stream']> = {},
): EndpointSpec =>
  tcp(port, {
    stream: { ...endpointOf().stream, tls: 'passthrough', ...stream },
    ...(host === undefined ? {} : { host }),
  })

export const mapping = (more: Partial<PortMappingSpec> = {}): PortMappingSpec => ({
  containerPort: 6379,
  protocol: 'tcp',
  hostIp: '0.0.0.0',
  ...more,
})

export function node(spec: Partial<ServiceSpec>, name = 'hello'): ObedientShell {
  const shell = new ObedientShell().boot()
  deploy(shell, spec, name)
  return shell
}

export const deploy = (
  shell: ObedientShell,
  spec: Partial<ServiceSpec>,
  name = 'hello',
): NodeCommand[] => shell.deploy(deploymentOf({ web: serviceOf(spec) }, name))

export const remove = (shell: ObedientShell, deployment: string): NodeCommand[] =>
  shell.feed({ type: 'remove', request: shell.request(), deployment })

export const internal = (shell: ObedientShell, ...addresses: string[]): NodeCommand[] =>
  shell.feed({ type: 'internal-addresses', addresses })

/** `tcp 127.0.0.1:6379`. */
export const places = (shell: ObedientShell): string[] =>
  [...shell.bound.values()].map(({ address, use }) => `${use.kind} ${address}`).sort()

export const replies = (commands: readonly NodeCommand[]) =>
  typed(commands, 'reply').map(({ result }) => result)

export const notices = (commands: readonly NodeCommand[], code: Of<'notice'>['code']): string[] =>
  typed(commands, 'notice')
    .filter((each) => each.code === code)
    .map(({ text }) => text)

export const settled = (commands: readonly NodeCommand[]): string[] =>
  typed(commands, 'settled').map(({ outcome }) => outcome)

export const inUse = (commands: readonly NodeCommand[]): readonly NodeEvent[] =>
  typed(commands, 'bind-socket').map(({ socket, attempt }) => ({
    type: 'socket-failed',
    socket,
    attempt,
    reason: 'address in use',
  }))

/** A node with these services, deployed. */
export function nodeOf(
  services: Readonly<Record<string, ServiceSpec>>,
  name = 'hello',
): ObedientShell {
  const shell = new ObedientShell().boot()
  shell.deploy(deploymentOf(services, name))
  return shell
}

/** Public, unless told otherwise. */
export const sql = (port: number, more: Partial<EndpointSpec> = {}): EndpointSpec =>
  endpointOf({ name: 'sql', protocol: 'tcp', port, ...more })

export const dependsOn = (
  service: string,
  more: Partial<DependencySpec> = {},
): readonly DependencySpec[] => [
  { service, condition: 'healthy', timeoutMs: 5_000, onTimeout: 'fail', ...more },
]

/** Each `settled` with its problems. */
export const outcomes = (commands: readonly NodeCommand[]): string[][] =>
  typed(commands, 'settled').map(({ outcome, problems }) => [outcome, ...problems])

/** Whatever was commanded, but for what people are told. */
export const typesOf = (commands: readonly NodeCommand[]): string[] =>
  commands.map(({ type }) => type).filter((type) => type !== 'notice')
