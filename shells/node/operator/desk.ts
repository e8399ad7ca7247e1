/**
 * Between those who ask and the node machine: gives requests their ids and hands each its one
 * answer, remembers which deployments have settled, keeps the last notices for late readers.
 */
import type { NodeCommand, Reply } from '../../../core/node/commands.ts'
import type { NodeEvent, RequestId } from '../../../core/node/events.ts'
import type { NoticeLine, SettledAnswer } from './api.ts'

type DeskCommand = Extract<NodeCommand, { type: 'reply' | 'notice' | 'settled' }>
type Asking = Extract<NodeEvent, { request: RequestId }>
/** An event of an operator, still without its id. */
export type Question = Asking extends infer Each
  ? Each extends Asking
    ? Omit<Each, 'request'>
    : never
  : never

export type SettledNews = SettledAnswer & { readonly deployment: string }

export class OperatorDesk {
  readonly #send: (event: NodeEvent) => void
  readonly #asked = new Map<RequestId, (reply: Reply) => void>()
  readonly #settled = new Map<string, SettledAnswer>()
  readonly #waiting = new Map<string, Set<(settled: SettledAnswer | undefined) => void>>()
  readonly #eventListeners = new Listeners<NoticeLine>()
  readonly #settledListeners = new Listeners<SettledNews>()
  readonly #noticeListeners = new Listeners<NoticeLine>()
  #events: NoticeLine[] = []
  /** Until somebody listens. */
  #early: NoticeLine[] | undefined = []
  readonly #stopping = Promise.withResolvers<void>()
  #requests = 0
  #stopped = false

  constructor(send: (event: NodeEvent) => void) {
    this.#send = send
  }

  /** Resolved by {@link stop}. */
  get stopped(): Promise<void> {
    return this.#stopping.promise
  }

  /** The last lines of machine and shell, oldest first. */
  recentEvents(): readonly NoticeLine[] {
    return this.#events.slice(-EVENTS_MAX)
  }

  /** Lines of machine and shell from now on. */
  onEvent(listener: (line: NoticeLine) => void): () => void {
    return this.#eventListeners.add(listener)
  }

  /** The machine's notices; the first listener also gets those from before it came. */
  onNotice(listener: (line: NoticeLine) => void): () => void {
    const early = this.#early ?? []
    this.#early = undefined
    const leave = this.#noticeListeners.add(listener)
    for (const line of early) listener(line)
    return leave
  }

  /** Each time a deployment settles from now on, also when it had settled before. */
  onSettled(listener: (news: SettledNews) => void): () => void {
    return this.#settledListeners.add(listener)
  }

  /** What the shell has to say to whoever reads events. */
  say(level: 'info' | 'warn' | 'error', text: string): void {
    this.#keep({ at: new Date().toISOString(), level, code: 'shell', text })
  }

  /** Asks the machine; resolves with its reply, and with a refusal when it stops before. */
  ask(question: Question): Promise<Reply> {
    if (this.#stopped) return Promise.resolve(GONE)
    if (this.#asked.size >= ASKED_MAX) return Promise.resolve(BUSY)
    const request = ++this.#requests
    return new Promise((resolve) => {
      this.#asked.set(request, resolve)
      this.#send({ ...question, request } as Asking)
    })
  }

  /** Asks for a deploy: what was settled before counts no more, unless the deploy is refused. */
  async deploy(question: Extract<Question, { type: 'deploy' }>): Promise<Reply> {
    const { name } = question.deployment
    const before = this.#settled.get(name)
    this.#settled.delete(name)
    const reply = await this.ask(question)
    if (!reply.ok && before !== undefined && !this.#settled.has(name)) {
      this.#settle(name, before)
    }
    return reply
  }

  /** Asks for a removal; who waits for the deployment learns that it is gone. */
  async remove(deployment: string): Promise<Reply> {
    const reply = await this.ask({ type: 'remove', deployment })
    if (reply.ok) {
      this.#settled.delete(deployment)
      this.#answerWaiting(deployment, undefined)
    }
    return reply
  }

  /**
   * Calls back once, maybe at once: with how the deployment settled, or undefined when there is
   * none (`isKnown` says) or it was removed. Returns what cancels.
   */
  whenSettled(
    deployment: string,
    isKnown: () => boolean,
    answer: (settled: SettledAnswer | undefined) => void,
  ): () => void {
    const settled = this.#settled.get(deployment)
    const late = this.#stopped ? STOPPED : undefined
    if (settled !== undefined || late !== undefined || !isKnown()) {
      answer(settled ?? late)
      return () => {}
    }
    const waiting = this.#waiting.get(deployment) ?? new Set()
    this.#waiting.set(deployment, waiting)
    waiting.add(answer)
    return () => {
      waiting.delete(answer)
      if (waiting.size === 0 && this.#waiting.get(deployment) === waiting) {
        this.#waiting.delete(deployment)
      }
    }
  }

  /** Runs one command. */
  apply(command: DeskCommand): void {
    switch (command.type) {
      case 'reply': {
        const answer = this.#asked.get(command.request)
        this.#asked.delete(command.request)
        return answer?.(command.result)
      }
      case 'notice': {
        const { type: _, ...notice } = command
        const line: NoticeLine = { at: new Date().toISOString(), ...notice }
        this.#keep(line)
        if (this.#early !== undefined && this.#early.length < EVENTS_MAX) this.#early.push(line)
        return this.#noticeListeners.call(line)
      }
      case 'settled': {
        const { deployment, outcome, problems } = command
        this.#settle(deployment, { outcome, problems })
        return this.#settledListeners.call({ deployment, outcome, problems })
      }
    }
  }

  /** Answers everybody who still waits. */
  stop(): void {
    if (this.#stopped) return
    this.#stopped = true
    for (const answer of this.#asked.values()) answer(GONE)
    this.#asked.clear()
    for (const deployment of [...this.#waiting.keys()]) this.#answerWaiting(deployment, STOPPED)
    this.#stopping.resolve()
  }

  #keep(line: NoticeLine): void {
    this.#events.push(line)
    // Dropped by the thousand, so that one more line does not move them all.
    if (this.#events.length > EVENTS_MAX * 2) this.#events.splice(0, EVENTS_MAX)
    this.#eventListeners.call(line)
  }

  #settle(deployment: string, settled: SettledAnswer): void {
    this.#settled.set(deployment, settled)
    this.#answerWaiting(deployment, settled)
  }

  #answerWaiting(deployment: string, settled: SettledAnswer | undefined): void {
    const waiting = this.#waiting.get(deployment)
    this.#waiting.delete(deployment)
    for (const answer of waiting ?? []) answer(settled)
  }
}

/** Callbacks, each with its way out; one that leaves or comes during a call harms no other. */
export class Listeners<A> {
  readonly #entries = new Set<{ readonly listener: (value: A) => void }>()

  add(listener: (value: A) => void): () => void {
    const entry = { listener }
    this.#entries.add(entry)
    return () => this.#entries.delete(entry)
  }

  call(value: A): void {
    for (const { listener } of [...this.#entries]) listener(value)
  }
}

const GONE: Reply = { ok: false, code: 'stopping', text: 'the node has stopped' }
const BUSY: Reply = { ok: false, code: 'conflict', text: 'too many requests wait already' }
const STOPPED: SettledAnswer = { outcome: 'failed', problems: ['the node has stopped'] }

/** Lines kept for those who come later. */
const EVENTS_MAX = 1_000
/** Requests without an answer yet; each is a client that waits. */
const ASKED_MAX = 1_024
