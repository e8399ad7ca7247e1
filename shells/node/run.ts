/**
 * Puts a node together: the machine, its journal, and all that carries out its commands. One
 * switch, no decisions.
 */
import { randomInt, randomUUID } from 'node:crypto'
import { Effect, type Scope } from 'effect'
import { formatIp, parseIp, unmapped } from '../../core/net/address.ts'
import type { NodeCommand, Reply } from '../../core/node/commands.ts'
import type { NodeEvent } from '../../core/node/events.ts'
import { defaultNodeConfig, type NodeConfig, NodeMachine } from '../../core/node/node.ts'
import type { NodeView } from '../../core/node/view.ts'
import type { PolicyPlace } from '../../core/policy/policy.ts'
import type { JsonValue } from '../../core/spec/deployment.ts'
import { acmeHostsOf } from '../../core/spec/node/acme-hosts.ts'
import { defaultNodeSettings, type NodeSettings } from '../../core/spec/node/settings.ts'
import { PairFiles } from './acme/pair-files.ts'
import { admitDeployment } from './file/deployment-file.ts'
import { Journal, type JournalLimits, type JournalOptions } from './journal/journal.ts'
import type { Listeners } from './listener/listeners.ts'
import type { LogStore } from './log/store.ts'
import type {
  DeploySource,
  DrainWork,
  NoticeLine,
  SettledAnswer,
  VersionAnswer,
} from './operator/api.ts'
import { Listeners as Callbacks, OperatorDesk, type SettledNews } from './operator/desk.ts'
import { loadsSoon, workOf } from './operator/listeners.ts'
import { type DeployAnswer, makeOperatorServer, type OperatedNode } from './operator/server.ts'
import { applier, makeParts } from './parts.ts'
import { Pump, type PumpFault } from './pump.ts'
import { openStateDirectory, type StateDirectory } from './state/directory.ts'
import type { NodeStartError as StateStartError } from './state/start-error.ts'
import {
  type Certificates,
  type CertificatesUnusable,
  makeCertificates,
} from './tls/certificates.ts'

export type { DrainWork, NoticeLine, SettledAnswer } from './operator/api.ts'
export type { SettledNews } from './operator/desk.ts'
export type { DeployAnswer } from './operator/server.ts'
export { AlreadyRunning, StateUnusable } from './state/start-error.ts'
export { CertificatesUnusable } from './tls/certificates.ts'

export type NodeStartError = StateStartError | CertificatesUnusable

export interface NodeOptions {
  /** Made when it is missing. */
  readonly stateDirectory: string
  /** Default: drawn. */
  readonly seed?: number
  /** Of Weir. */
  readonly version: string
  /** What the shell itself has to say; the machine's notices go to {@link NodeHandle.onNotice}. */
  readonly log: (level: 'info' | 'warn' | 'error', text: string) => void
  readonly journal?: JournalLimits
  /** Default: what a node without a node file has. */
  readonly settings?: NodeSettings
  /** Where challenges of ACME are answered, when it is configured; default: 80 (RFC 8555, 8.3). */
  readonly challengePort?: number
}

export interface NodeHandle {
  readonly nodeId: string
  /** Real path. */
  readonly stateDirectory: string
  readonly socketPath: string
  view(): NodeView
  deploy(source: DeploySource): Promise<DeployAnswer>
  /** How the last deploy of it ended; waits when it has not. */
  settled(deployment: string): Promise<SettledAnswer>
  /** Each time a deployment becomes ready or fails, in the order in which it happens. */
  onSettled(listener: (news: SettledNews) => void): () => void
  /** Answered when all of it is gone. */
  remove(deployment: string): Promise<Reply>
  /** `service` is `deployment/service`, or the short name where it is unique. */
  scale(service: string, replicas: number): Promise<Reply>
  restart(service: string, replica?: number): Promise<Reply>
  /**
   * This node's addresses in the internal network, all of them, in the place of those before. What
   * is no IP address is left out, and said.
   */
  internalAddresses(addresses: readonly string[]): void
  /** What goes through the listeners now. */
  load(): Promise<DrainWork>
  /** The machine's notices; the first listener also gets those from before it came. */
  onNotice(listener: (notice: NoticeLine) => void): () => void
  /** Something in the view may have changed; at most once per turn of the event loop. */
  onChange(listener: () => void): () => void
  /** Resolves when the node has stopped. May be called again with `abort` during a `drain`. */
  shutdown(mode: 'drain' | 'abort'): Promise<void>
  /** Nothing runs any more. The socket goes with the scope. */
  readonly stopped: Promise<void>
  /** Why the node stopped by itself: a bug. The process should end with exit code 1. */
  failure(): string | undefined
}

/** A node, running until the scope ends. Whatever still runs then is killed. */
export const startNode = (
  options: NodeOptions,
): Effect.Effect<NodeHandle, NodeStartError, Scope.Scope> =>
  Effect.gen(function* () {
    const { stateDirectory, version, settings = defaultNodeSettings } = options
    const since = new Date().toISOString()
    const desk = new OperatorDesk((event) => engine.pump.send(event))
    const log: NodeOptions['log'] = (level, text) => {
      options.log(level, text)
      desk.say(level, text)
    }
    // Before anything is touched: a start that fails for them leaves no trace.
    const certificates = yield* openCertificates(settings, log)
    const state = yield* openStateDirectory({ path: stateDirectory, version, log: options.log })
    const { nodeId: node, path, socketPlaces } = state
    const name = 'weir'
    const answer: VersionAnswer = { name, version, pid: process.pid, node, state: path, since }
    // Before all others, so that it is released after them: a second start sees us to the end.
    const server = yield* makeOperatorServer({ socketPlaces, version: () => answer, log })
    state.recordSocket(server.socketPath)
    const engine: Engine = yield* makeEngine({ options, settings, state, desk, log, certificates })
    const operated = operatedNode(engine, desk, answer, settings)
    engine.pump.send({ type: 'boot' })
    engine.wantCertificates()
    const internalAddresses = internalAddressesTo(engine.pump, log)
    if (settings.internalAddresses.length > 0) internalAddresses(settings.internalAddresses)
    server.attach(operated)
    return {
      ...operated,
      nodeId: node,
      stateDirectory: path,
      socketPath: server.socketPath,
      settled: (deployment) =>
        new Promise((resolve) => {
          operated.whenSettled(deployment, (settled) => resolve(settled ?? goneAnswer(deployment)))
        }),
      internalAddresses,
      load: async () => workOf(await loadsSoon(engine.listeners)),
      onSettled: (listener) => desk.onSettled(listener),
      onNotice: (listener) => desk.onNotice(listener),
      onChange: engine.onChange,
      failure: engine.failure,
    }
  })

const openCertificates = (
  { certificates: directory, acme }: NodeSettings,
  log: NodeOptions['log'],
): Effect.Effect<Certificates | undefined, CertificatesUnusable, Scope.Scope> =>
  Effect.gen(function* () {
    if (directory === undefined) return undefined
    if (acme !== undefined) yield* Effect.promise(() => new PairFiles(directory).finish(log))
    return yield* makeCertificates({ directory, notice: log })
  })

/** What an engine is made of. */
interface EngineOptions {
  readonly options: NodeOptions
  readonly settings: NodeSettings
  readonly state: StateDirectory
  readonly desk: OperatorDesk
  readonly log: NodeOptions['log']
  readonly certificates: Certificates | undefined
}

/** The machine at work. */
interface Engine {
  readonly machine: NodeMachine
  readonly pump: Pump<NodeEvent, NodeCommand>
  readonly logs: LogStore
  readonly listeners: Listeners
  /** In Prometheus' text format. */
  readonly metrics: () => Promise<string>
  /** What runs may be other than before. */
  readonly wantCertificates: () => void
  readonly onChange: NodeHandle['onChange']
  readonly failure: NodeHandle['failure']
}

/** Machine, journal and all that carries out commands, ready for the first event. */
const makeEngine = (made: EngineOptions): Effect.Effect<Engine, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { options, state, desk, log } = made
    const { version, journal: limits } = options
    const seed = options.seed ?? randomInt(2 ** 31)
    const machine = new NodeMachine(configOf(seed, made.settings, options))
    const journal = yield* makeJournal(
      {
        directory: state.journalDirectory,
        life: { version, boot: randomUUID(), seed },
        snapshot: (now) => machine.snapshot(now) as unknown as JsonValue,
        log,
        wallClock: () => new Date().toISOString(),
        ...(limits === undefined ? {} : { limits }),
      },
      () => pump.now(),
    )
    const changes = new Callbacks<void>()
    let failure: string | undefined
    const pump: Pump<NodeEvent, NodeCommand> = new Pump<NodeEvent, NodeCommand>({
      machine,
      tick: { type: 'tick' },
      apply: (command) => apply(command),
      journal,
      onChange: () => changes.call(),
      onFault: (fault) => {
        failure = faultText(fault, journal.position())
        log('error', failure)
        stop()
      },
    })
    const parts = yield* makeParts(made, pump, () => machine.view(pump.now()))
    const apply = applier(parts, desk, () => stop())
    /** At the end of the machine's life, however it came. */
    const stop = (): void => {
      pump.stop()
      parts.runtime.killAll() // nothing, where the machine had its way
      state.leave()
      desk.stop()
    }
    yield* Effect.addFinalizer(() => Effect.sync(stop))
    journal.begin(pump.now())
    const { logs, listeners, metrics, acme } = parts
    const settings = made.settings.acme
    return {
      machine,
      pump,
      logs,
      listeners,
      metrics,
      wantCertificates: () => {
        if (settings !== undefined) acme?.want(acmeHostsOf(settings, machine.specs()))
      },
      onChange: (listener) => changes.add(listener),
      failure: () => failure,
    }
  })

const makeJournal = (
  options: JournalOptions,
  now: () => number,
): Effect.Effect<Journal, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => new Journal(options)),
    (journal) => Effect.sync(() => journal.close(now())),
  )

const operatedNode = (
  { machine, pump, logs, listeners, metrics, wantCertificates }: Engine,
  desk: OperatorDesk,
  answer: VersionAnswer,
  settings: NodeSettings,
): OperatedNode => {
  const view = (): NodeView => machine.view(pump.now())
  const isKnown = (name: string): boolean =>
    view().deployments.some((deployment) => deployment.name === name)
  return {
    version: () => answer,
    view,
    deploy: (source) => deploy(desk, source, settings, placesOf(view())).finally(wantCertificates),
    whenSettled: (name, answer) => desk.whenSettled(name, () => isKnown(name), answer),
    remove: (deployment) => desk.remove(deployment).finally(wantCertificates),
    scale: (service, replicas) => desk.ask({ type: 'scale', service, replicas }),
    restart: (service, replica) =>
      desk.ask({ type: 'restart', service, ...(replica === undefined ? {} : { replica }) }),
    logs,
    listeners,
    metrics,
    recentEvents: () => desk.recentEvents(),
    onEvent: (listener) => desk.onEvent(listener),
    shutdown: (mode) => {
      pump.send({ type: 'shutdown', mode })
      return desk.stopped
    },
    stopped: desk.stopped,
  }
}

const configOf = (
  seed: number,
  { replicaPorts, drainTimeoutMs, metrics, networkPolicies, acme }: NodeSettings,
  { challengePort = CHALLENGE_PORT }: NodeOptions,
): NodeConfig => ({
  ...defaultNodeConfig(seed),
  replicaPorts,
  drainTimeoutMs,
  metrics: metrics ?? null,
  challengePort: acme === undefined ? null : challengePort,
  policies: networkPolicies,
})

/** The only one that a certificate authority asks (RFC 8555, 8.3). */
const CHALLENGE_PORT = 80

/** In the one way of writing each, so that the same ones again are no change. */
const internalAddressesTo =
  (pump: Engine['pump'], log: NodeOptions['log']): NodeHandle['internalAddresses'] =>
  (texts) => {
    const addresses: string[] = []
    for (const text of texts) {
      const ip = parseIp(text)
      if (ip === undefined) log('warn', `internal address left out: "${text}" is no IP address`)
      else addresses.push(formatIp(unmapped(ip)))
    }
    pump.send({ type: 'internal-addresses', addresses })
  }

/** What is deployed, as clients come to it. */
const placesOf = ({ listeners }: NodeView): readonly PolicyPlace[] =>
  listeners.map(({ deployment, service, endpoint, address }) => {
    const port = Number(address.slice(address.lastIndexOf(':') + 1))
    return { deployment, service, endpoint, port }
  })

async function deploy(
  desk: OperatorDesk,
  source: DeploySource,
  settings: NodeSettings,
  places: readonly PolicyPlace[],
): Promise<DeployAnswer> {
  const { text, file, directory } = source
  const admitted = admitDeployment(text, file, settings, directory, places)
  if (!admitted.ok) return { ok: false, code: 'invalid', problems: admitted.problems }
  const { deployment, warnings } = admitted
  const reply = await desk.deploy({ type: 'deploy', deployment, directory })
  if (reply.ok) return { ok: true, name: deployment.name, text: reply.text, warnings }
  const code = reply.code === 'not-found' ? 'invalid' : reply.code
  return { ok: false, code, problems: reply.text.split(BETWEEN_CONFLICTS) }
}

/** The machine's answer is one text, whatever number of ports somebody else has. */
const BETWEEN_CONFLICTS = /; (?=port-conflict: )/

const goneAnswer = (deployment: string): SettledAnswer => ({
  outcome: 'failed',
  problems: [`no deployment "${deployment}" here`],
})

function faultText({ error, event }: PumpFault<NodeEvent>, position: string): string {
  const where = error instanceof Error ? (error.stack ?? error.message) : String(error)
  const cause = event === undefined ? 'running a command' : JSON.stringify(event)
  return (
    `internal error, the node ends at once (journal: ${position}); ` +
    `please report it with the journal. While handling ${cause.slice(0, EVENT_CHARACTERS_MAX)}: ${where}`
  )
}

const EVENT_CHARACTERS_MAX = 2_000
