/** Runs the node machine's listener commands: one stream shell for each TCP listener. */
import { Effect, type Scope } from 'effect'
import type { Attempt } from '../../../core/machine.ts'
import { unreachable } from '../../../core/machine.ts'
import type { ListenerCommand } from '../../../core/node/commands.ts'
import type { ListenerEvent } from '../../../core/node/events.ts'
import type { ListenerId, ReplicaId } from '../../../core/services/identity.ts'
import type { StreamSpec } from '../../../core/spec/deployment.ts'
import type { ListenerFact } from '../../../core/balance/facts.ts'
import { defaultStreamConfig, type StreamConfig } from '../../../core/stream/state.ts'
import { isAddressInUse, reasonOf } from '../socket-errors.ts'
import { portHolder } from './port-holder.ts'
import { StreamShell } from './stream-shell.ts'

export interface ListenersOptions {
  /** May be called from within `apply`; the caller queues. */
  readonly report: (event: ListenerEvent) => void
  /** For people: something a listener met that no event tells. At most one every ten seconds. */
  readonly notice?: (text: string) => void
}

export interface Listeners {
  apply(command: ListenerCommand): void
}

/** Closes every socket with the scope: listening and connected, by reset. */
export const makeListeners = (
  options: ListenersOptions,
): Effect.Effect<Listeners, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => new ListenerSet(options)),
    (listeners) => Effect.promise(() => listeners.stop()),
  )

type OpenCommand = Extract<ListenerCommand, { type: 'open-listener' }>

/**
 * A listener that is being opened, is open, or has connections or backends: those it is given
 * before it is open, or between a failed open and its retry, count from then on.
 */
interface Entry {
  readonly shell: StreamShell
  /** The bind made last, under way or done; never rejects. */
  opening: Promise<void> | undefined
  phase: 'idle' | 'opening' | 'listening' | 'closed'
}

class ListenerSet implements Listeners {
  readonly #entries = new Map<ListenerId, Entry>()
  readonly #options: ListenersOptions
  #stopped = false
  #noticedAt = Number.NEGATIVE_INFINITY

  constructor(options: ListenersOptions) {
    this.#options = options
  }

  apply(command: ListenerCommand): void {
    if (this.#stopped) return
    switch (command.type) {
      case 'open-listener':
        this.#open(command)
        return
      case 'close-listener':
        void this.#close(command.listener, command.attempt)
        return
      case 'apply-backends': {
        const { listener, version, backends } = command
        const entry = this.#entries.get(listener) ?? this.#enter(listener)
        entry.shell.step({ type: 'apply-backends', version, backends })
        this.#forgetIfUnused(listener, entry)
        return
      }
      case 'cut-backend': {
        const { listener, backend } = command
        this.#entries.get(listener)?.shell.step({ type: 'cut-backend', backend })
        return
      }
      default:
        unreachable(command)
    }
  }

  /** Resolves when every descriptor is closed. */
  async stop(): Promise<void> {
    this.#stopped = true
    const entries = [...this.#entries.values()]
    await Promise.all(entries.map(({ opening }) => opening))
    for (const { shell } of entries) shell.step({ type: 'abort-all' })
    // An abort goes in steps of bounded size; the last one empties the machine.
    while (this.#entries.size > 0) await afterClosing()
    await afterClosing()
  }

  #open(command: OpenCommand): void {
    const { listener, attempt, stream } = command
    const entry = this.#entries.get(listener) ?? this.#enter(listener)
    if (entry.phase !== 'idle') {
      const reason = `the listener is ${entry.phase} already`
      this.#report({ type: 'listener-failed', listener, attempt, reason })
      return
    }
    entry.shell.step({ type: 'configure', config: configOf(stream) })
    entry.phase = 'opening'
    entry.opening = this.#bind(entry, command)
  }

  async #bind(entry: Entry, { listener, attempt, host, port }: OpenCommand): Promise<void> {
    try {
      const address = await entry.shell.listen(host, port)
      if (entry.phase === 'opening') entry.phase = 'listening'
      this.#report({ type: 'listener-opened', listener, attempt, address })
    } catch (error) {
      const reason = reasonOf(error)
      const holder = isAddressInUse(error) ? await portHolder(host, port) : undefined
      const who = holder === undefined ? {} : { holder }
      if (entry.phase === 'opening') entry.phase = 'idle'
      this.#forgetIfUnused(listener, entry)
      this.#report({ type: 'listener-failed', listener, attempt, reason, ...who })
    }
  }

  async #close(listener: ListenerId, attempt: Attempt): Promise<void> {
    const entry = this.#entries.get(listener)
    if (entry !== undefined) {
      const isOpening = entry.phase === 'opening'
      entry.phase = 'closed'
      if (isOpening) await entry.opening
      entry.shell.step({ type: 'close' })
      await afterClosing()
    }
    this.#report({ type: 'listener-closed', listener, attempt })
  }

  #enter(listener: ListenerId): Entry {
    const shell = new StreamShell({
      fact: (fact) => this.#onFact(listener, fact),
      hostFailed: (reason) => this.#notice(`${listener}: a connection was lost: ${reason}`),
    })
    const entry: Entry = { shell, opening: undefined, phase: 'idle' }
    this.#entries.set(listener, entry)
    return entry
  }

  /** Of a failed open nothing is kept, unless it was given backends that the retry will want. */
  #forgetIfUnused(listener: ListenerId, entry: Entry): void {
    if (entry.phase !== 'idle' || !entry.shell.machine.isEmpty) return
    entry.shell.dispose()
    this.#entries.delete(listener)
  }

  #onFact(listener: ListenerId, fact: ListenerFact): void {
    switch (fact.type) {
      case 'backends-applied':
        this.#report({ ...fact, listener })
        return
      case 'backend-drained':
      case 'backend-failed':
        // The machine repeats the ids it was given by `apply-backends`.
        this.#report({ ...fact, listener, backend: fact.backend as ReplicaId })
        return
      case 'emptied':
        this.#entries.get(listener)?.shell.dispose()
        this.#entries.delete(listener)
        return
      default:
        unreachable(fact)
    }
  }

  #report(event: ListenerEvent): void {
    if (!this.#stopped) this.#options.report(event)
  }

  #notice(text: string): void {
    const now = performance.now()
    if (now - this.#noticedAt < NOTICE_INTERVAL_MS) return
    this.#noticedAt = now
    this.#options.notice?.(text)
  }
}

const configOf = (stream: StreamSpec): StreamConfig => ({
  ...defaultStreamConfig,
  connectTimeoutMs: stream.connectTimeoutMs,
  idleTimeoutMs: stream.idleTimeoutMs,
  connectionsMax: stream.connectionsMax,
})

/** libuv closes descriptors within the call and completes handles at the end of the round. */
const afterClosing = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

const NOTICE_INTERVAL_MS = 10_000
