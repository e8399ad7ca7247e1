/**
 * Runs replicas as processes of this machine. It does what the node machine says and reports what
 * happened; when to signal, to kill and to start again is decided there.
 */
import { statSync } from 'node:fs'
import { Effect, Exit, Scope } from 'effect'
import { unreachable } from '../../../core/machine.ts'
import type { Program, RuntimeCommand } from '../../../core/node/commands.ts'
import type { RuntimeEvent } from '../../../core/node/events.ts'
import { parseReplicaId, type ReplicaId, replicaLabel } from '../../../core/services/identity.ts'
import type { LogStore, LogWriter } from '../log/store.ts'
import { EscapedEnder } from './escaped.ts'
import { checkPorts, type WantedPorts } from './free-ports.ts'
import { reapLeftovers } from './leftovers.ts'
import { makePipePool, type OutputPipe, type PipePool } from './pipes.ts'
import { instanceMark, programEnvironment } from './program-env.ts'
import { launch, RunningProgram } from './running-program.ts'

export interface ProcessRuntime {
  /** Never throws and never reports while it runs: all answers come later. */
  apply(command: RuntimeCommand): void
  /** Of a replica that was started: for what is to run beside it, like its health command. */
  environmentOf(replica: ReplicaId): ReplicaSurroundings | undefined
  /** The last resort, at once: SIGKILL to every group. */
  killAll(): void
}

export interface ReplicaSurroundings {
  readonly env: Readonly<Record<string, string>>
  readonly directory: string
}

export interface ProcessRuntimeOptions {
  /** Marks all processes of this node, over all of its lives. */
  readonly nodeId: string
  readonly logs: LogStore
  readonly report: (event: RuntimeEvent) => void
  readonly notice: (text: string) => void
  /** Where `$E:` values and inherited variables come from. */
  readonly host?: NodeJS.ProcessEnv
}

/** At the end of the scope every group is killed, waited for, and its log closed. */
export const makeProcessRuntime = (
  options: ProcessRuntimeOptions,
): Effect.Effect<ProcessRuntime, never, Scope.Scope> =>
  Effect.gen(function* () {
    const pipes = yield* makePipePool(options.nodeId)
    // replicas end beside each other, not one after the other
    const scope = Scope.forkUnsafe(yield* Effect.scope, 'parallel')
    const runtime = new Runtime(options, pipes, scope)
    yield* Scope.addFinalizer(
      scope,
      Effect.promise(() => runtime.finishRemovals()),
    )
    yield* Effect.addFinalizer(() => Effect.sync(() => runtime.silence()))
    return runtime
  })

interface Replica {
  readonly id: ReplicaId
  readonly program: Program
  /** Holds its log, its pipes and its processes; closed to end and release them, in reverse. */
  readonly scope: Scope.Closeable
  /** Resolved when the question of its creation is answered. */
  created: Promise<void>
  equipment: Equipment | undefined
  env: Readonly<Record<string, string>> | undefined
  running: RunningProgram | undefined
  released: Promise<void> | undefined
}

interface Equipment {
  readonly log: LogWriter
  readonly pipes: { readonly out: OutputPipe; readonly err: OutputPipe } | undefined
}

type Command<Type extends RuntimeCommand['type']> = Extract<RuntimeCommand, { type: Type }>

class Runtime implements ProcessRuntime {
  readonly #options: ProcessRuntimeOptions
  readonly #pipes: PipePool
  readonly #escaped: EscapedEnder
  readonly #scope: Scope.Closeable
  readonly #replicas = new Map<ReplicaId, Replica>()
  #silent = false
  #saidNoPipes = false

  constructor(options: ProcessRuntimeOptions, pipes: PipePool, scope: Scope.Closeable) {
    this.#options = options
    this.#pipes = pipes
    this.#escaped = new EscapedEnder(options)
    this.#scope = scope
  }

  apply(command: RuntimeCommand): void {
    switch (command.type) {
      case 'reap-leftovers':
        return this.#reap(command)
      case 'create-replica':
        return this.#create(command)
      case 'start-replica':
        return this.#start(command)
      case 'verify-replica':
        return this.#verify(command)
      case 'resolve-address': {
        const { replica, attempt } = command
        return this.#answer({ type: 'address-resolved', replica, attempt, host: '127.0.0.1' })
      }
      case 'signal-replica':
        this.#replicas.get(command.replica)?.running?.group.send(command.signal)
        return
      case 'remove-replica':
        return this.#remove(command)
      default:
        return unreachable(command)
    }
  }

  environmentOf(replica: ReplicaId): ReplicaSurroundings | undefined {
    const known = this.#replicas.get(replica)
    if (known?.env === undefined) return undefined
    return { env: known.env, directory: known.program.directory }
  }

  killAll(): void {
    for (const replica of this.#replicas.values()) replica.running?.group.send('SIGKILL')
  }

  /** Nobody listens any more. */
  silence(): void {
    this.#silent = true
  }

  /** Those begun go their way, though nothing is looked for any more. */
  async finishRemovals(): Promise<void> {
    await this.#escaped.close()
    await Promise.all([...this.#replicas.values()].map((replica) => replica.released))
  }

  // in the order of a replica's life

  #create({ replica: id, attempt, program }: Command<'create-replica'>): void {
    if (this.#replicas.has(id)) {
      const reason = `${labelOf(id)} exists already`
      this.#answer({
        type: 'replica-create-failed',
        replica: id,
        attempt,
        reason,
        portsTaken: [],
      })
      return
    }
    const replica: Replica = {
      id,
      program,
      scope: Scope.forkUnsafe(this.#scope),
      created: Promise.resolve(),
      equipment: undefined,
      env: undefined,
      running: undefined,
      released: undefined,
    }
    this.#replicas.set(id, replica)
    replica.created = this.#prepare(replica).then(async (failure) => {
      if (failure === undefined) {
        return this.#report({ type: 'replica-created', replica: id, attempt })
      }
      await Effect.runPromise(Scope.close(replica.scope, Exit.void))
      this.#forget(replica)
      this.#report({ type: 'replica-create-failed', replica: id, attempt, ...failure })
    })
  }

  async #prepare(
    replica: Replica,
  ): Promise<{ reason: string; portsTaken: readonly number[] } | undefined> {
    const { program } = replica
    const failure = directoryProblem(program.directory)
    if (failure !== undefined) return { reason: failure, portsTaken: [] }
    const { taken, problems } = await checkPorts(portsOf(program))
    if (taken.length > 0) {
      const ports = taken.length === 1 ? `port ${taken[0]} is` : `ports ${taken.join(', ')} are`
      return { reason: `${ports} in use by another program`, portsTaken: taken }
    }
    if (problems.length > 0) return { reason: problems.join('; '), portsTaken: [] }
    replica.equipment = await Effect.runPromise(Scope.provide(this.#equip(replica), replica.scope))
    return undefined
  }

  /** What is acquired last is released first: the pipes before the log they are read into. */
  #equip(replica: Replica): Effect.Effect<Equipment, never, Scope.Scope> {
    const take = Effect.promise(() => this.#pipes.take())
    const pipe = Effect.acquireRelease(take, (made) => Effect.sync(() => made?.close()))
    const { logs } = this.#options
    return Effect.gen({ self: this }, function* () {
      const log = yield* Effect.acquireRelease(
        Effect.sync(() => logs.open(replica.id, replica.program.logs)),
        (opened) => Effect.promise(() => opened.close()),
      )
      const out = yield* pipe
      const err = yield* pipe
      if (out !== undefined && err !== undefined) return { log, pipes: { out, err } }
      this.#sayNoPipes()
      return { log, pipes: undefined }
    })
  }

  #start({ replica: id, attempt }: Command<'start-replica'>): void {
    const fail = (reason: string): void =>
      this.#report({ type: 'replica-start-failed', replica: id, attempt, reason })
    const replica = this.#replicas.get(id)
    const isReady = replica?.released === undefined && !this.#silent
    if (replica?.equipment === undefined || !isReady) {
      return queueMicrotask(() => fail(`${labelOf(id)} is not created`))
    }
    if (replica.running !== undefined) {
      return queueMicrotask(() => fail(`${labelOf(id)} was started already`))
    }
    const { program, equipment } = replica
    const host = this.#options.host ?? process.env
    const resolved = programEnvironment(
      program,
      { nodeId: this.#options.nodeId, replica: id },
      host,
    )
    if (!resolved.ok) return queueMicrotask(() => fail(resolved.reason))
    for (const notice of resolved.notices) this.#options.notice(notice)
    const { argv, directory } = program
    const mark = instanceMark(id)
    const launched = launch({ argv, directory, env: resolved.env, mark, ...equipment })
    if (!(launched instanceof RunningProgram)) {
      void launched.failed.then(fail)
      return
    }
    replica.env = resolved.env
    replica.running = launched
    Effect.runSync(
      Scope.addFinalizer(
        replica.scope,
        Effect.promise(() => this.#end(replica, launched)),
      ),
    )
    this.#followLife(replica, attempt, launched)
  }

  #followLife(replica: Replica, attempt: number, running: RunningProgram): void {
    const { id } = replica
    const { pid } = running.group
    const started = running.spawned.then(() =>
      this.#report({ type: 'replica-started', replica: id, attempt, pid }),
    )
    void Promise.all([running.ended, started]).then(([{ code, signal }]) => {
      const logTail = replica.equipment?.log.tail() ?? []
      this.#report({ type: 'replica-exited', replica: id, code, signal, logTail })
    })
  }

  #verify({ replica, attempt }: Command<'verify-replica'>): void {
    const alive = this.#replicas.get(replica)?.running?.alive() ?? false
    this.#answer({ type: 'replica-verified', replica, attempt, alive })
  }

  #remove({ replica: id, attempt }: Command<'remove-replica'>): void {
    const answer: RuntimeEvent = { type: 'replica-removed', replica: id, attempt }
    const replica = this.#replicas.get(id)
    if (replica === undefined) return this.#answer(answer)
    replica.released ??= this.#release(replica)
    void replica.released.then(() => this.#report(answer))
  }

  async #release(replica: Replica): Promise<void> {
    await replica.created
    await Effect.runPromise(Scope.close(replica.scope, Exit.void))
    this.#forget(replica)
  }

  #forget(replica: Replica): void {
    // another one may have been created under its name after its own creation failed
    if (this.#replicas.get(replica.id) === replica) this.#replicas.delete(replica.id)
  }

  async #end(replica: Replica, running: RunningProgram): Promise<void> {
    if (!(await running.destroy(KILL_BOUND_MS))) {
      const pids = running.group.members().map(({ pid, state }) => `${pid} (state ${state})`)
      this.#options.notice(
        `${labelOf(replica.id)}: these processes survive SIGKILL: ${pids.join(', ')}`,
      )
    }
    // at the end of the node nobody asks; the next start would find them
    if (replica.released !== undefined) await this.#endEscaped(replica)
  }

  /** While its log is open still: their last words belong there. */
  async #endEscaped({ id, equipment }: Replica): Promise<void> {
    const { out, err } = equipment?.pipes ?? {}
    const pipes = [out, err].flatMap((pipe) => pipe?.path ?? [])
    const { ended, surviving } = await this.#escaped.end({ replica: id, pipes })
    const said: string[] = []
    if (ended.length > 0) said.push(`ended ${counted(ended)}`)
    if (surviving.length > 0) said.push(`could not end ${counted(surviving)}`)
    if (said.length === 0) return
    this.#options.notice(`${labelOf(id)}: ${said.join(', ')} outside of its process group`)
  }

  // the node's own

  #reap({ attempt, graceMs }: Command<'reap-leftovers'>): void {
    const { nodeId } = this.#options
    const ownGroups = new Set<number>()
    for (const { running } of this.#replicas.values()) {
      if (running !== undefined) ownGroups.add(running.group.pid)
    }
    const reaping = Effect.promise((signal) =>
      reapLeftovers({ nodeId, graceMs, ownGroups }, signal),
    ).pipe(
      Effect.tap(({ reaped, surviving }) =>
        Effect.sync(() => this.#report({ type: 'leftovers-reaped', attempt, reaped, surviving })),
      ),
    )
    Effect.runFork(Effect.forkIn(reaping, this.#scope))
  }

  #sayNoPipes(): void {
    if (this.#saidNoPipes) return
    this.#saidNoPipes = true
    this.#options.notice(
      'named pipes cannot be made (is mkfifo missing, or the temporary directory full?): ' +
        'programs that open /dev/stdout or /dev/stderr by name will fail',
    )
  }

  /** For what is known at once; still never while a command is applied. */
  #answer(event: RuntimeEvent): void {
    queueMicrotask(() => this.#report(event))
  }

  #report(event: RuntimeEvent): void {
    if (!this.#silent) this.#options.report(event)
  }
}

function portsOf({ ports, udpEndpoints }: Program): WantedPorts {
  const udp = udpEndpoints.flatMap((name) => ports[name] ?? [])
  const tcp = Object.entries(ports).filter(([name]) => !udpEndpoints.includes(name))
  return { tcp: tcp.map(([, port]) => port), udp }
}

const labelOf = (id: ReplicaId): string => `${parseReplicaId(id).deployment}/${replicaLabel(id)}`

/** `3 processes (12, 13, 14)` */
function counted(pids: readonly number[]): string {
  const named = pids.length > PIDS_NAMED_MAX ? [...pids.slice(0, PIDS_NAMED_MAX), '…'] : pids
  return `${pids.length} ${pids.length === 1 ? 'process' : 'processes'} (${named.join(', ')})`
}

function directoryProblem(path: string): string | undefined {
  try {
    return statSync(path).isDirectory() ? undefined : `${path} is not a directory`
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    return code === 'ENOENT' ? `directory ${path} does not exist` : message
  }
}

const KILL_BOUND_MS = 10_000
const PIDS_NAMED_MAX = 20
