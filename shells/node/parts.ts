/** What carries out the commands of a node machine, and the one switch over them. */
import { Effect, type Scope } from 'effect'
import type { ExchangeRecord } from '../../core/http/commands.ts'
import { unreachable } from '../../core/machine.ts'
import type { NodeCommand } from '../../core/node/commands.ts'
import type { NodeEvent } from '../../core/node/events.ts'
import { ingressConfigOf } from '../../core/node/listener-config.ts'
import type { NodeView } from '../../core/node/view.ts'
import type { NodeSettings } from '../../core/spec/node/settings.ts'
import { type AccessLog, makeAccessLog } from './access-log/access-log.ts'
import { type Acme, makeAcme } from './acme/acme.ts'
import { type Listeners, makeListeners } from './listener/listeners.ts'
import { makeLogStore } from './log/store.ts'
import { HttpTotals } from './metrics/http-totals.ts'
import { metricsText } from './metrics/node.ts'
import type { OperatorDesk } from './operator/desk.ts'
import { makeProbes } from './probe/probes.ts'
import { makeProcessRuntime } from './process/runtime.ts'
import type { Pump } from './pump.ts'
import type { StateDirectory } from './state/directory.ts'
import type { Certificates } from './tls/certificates.ts'

/** What they are made of. */
export interface PartsOptions {
  readonly settings: NodeSettings
  readonly state: StateDirectory
  readonly log: (level: 'info' | 'warn' | 'error', text: string) => void
  readonly certificates: Certificates | undefined
}

export type Parts = Effect.Success<ReturnType<typeof makeParts>>

/** Everything that carries out commands; each is released before the ones above it. */
export const makeParts = (
  { state, settings, log, certificates }: PartsOptions,
  pump: Pump<NodeEvent, NodeCommand>,
  view: () => NodeView,
) =>
  Effect.gen(function* () {
    const secured = certificates === undefined ? {} : { certificates }
    const report = (event: NodeEvent): void => pump.send(event)
    const notice = (text: string): void => log('warn', text)
    const logs = yield* makeLogStore({ directory: state.logsDirectory, notice })
    const runtime = yield* makeProcessRuntime({ nodeId: state.nodeId, logs, report, notice })
    const environmentOf = runtime.environmentOf.bind(runtime)
    const probes = yield* makeProbes({ report, environmentOf })
    const http = new HttpTotals()
    const accessLog = yield* openAccessLog(settings, log)
    const listeners: Listeners = yield* makeListeners({
      report,
      notice,
      metrics: () => metrics(),
      exchanged: exchangedTo(http, accessLog),
      http: ingressConfigOf(settings),
      ...secured,
    })
    const acme = yield* openAcme(settings, certificates, listeners, log)
    const more = { ...(accessLog === undefined ? {} : { accessLog }), ...(acme && { acme }) }
    const metrics = (): Promise<string> =>
      metricsText({ listeners, http, view, ...more, ...secured })
    return { logs, runtime, probes, listeners, acme, metrics }
  })

const openAccessLog = (
  { accessLog }: NodeSettings,
  notice: PartsOptions['log'],
): Effect.Effect<AccessLog | undefined, never, Scope.Scope> =>
  accessLog === undefined
    ? Effect.succeed(undefined)
    : makeAccessLog({ settings: accessLog, notice })

const openAcme = (
  { acme, certificates: directory }: NodeSettings,
  certificates: Certificates | undefined,
  listeners: Listeners,
  notice: PartsOptions['log'],
): Effect.Effect<Acme | undefined, never, Scope.Scope> => {
  if (acme === undefined || directory === undefined || certificates === undefined) {
    return Effect.succeed(undefined)
  }
  const challenge = listeners.challenge.bind(listeners)
  return makeAcme({ settings: acme, directory, certificates, challenge, notice })
}

/** Everybody who wants to know of exchanges. */
const exchangedTo = (
  http: HttpTotals,
  accessLog: AccessLog | undefined,
): ((exchange: ExchangeRecord) => void) =>
  accessLog === undefined
    ? http.add
    : (exchange) => {
        http.add(exchange)
        accessLog.write(exchange)
      }

/** The one switch. What a command causes comes back as an event, also a failure. */
export function applier(
  { runtime, probes, listeners }: Parts,
  desk: OperatorDesk,
  onStopped: () => void,
): (command: NodeCommand) => void {
  return (command) => {
    switch (command.type) {
      case 'reap-leftovers':
      case 'create-replica':
      case 'start-replica':
      case 'verify-replica':
      case 'resolve-address':
      case 'signal-replica':
      case 'remove-replica':
        return runtime.apply(command)
      case 'probe':
      case 'cancel-probe':
        return probes.apply(command)
      case 'open-listener':
      case 'configure-listener':
      case 'close-listener':
      case 'apply-backends':
      case 'cut-backend':
      case 'bind-socket':
      case 'route-socket':
      case 'unbind-socket':
        return listeners.apply(command)
      case 'reply':
      case 'notice':
      case 'settled':
        return desk.apply(command)
      case 'stopped':
        return onStopped()
      default:
        return unreachable(command)
    }
  }
}
