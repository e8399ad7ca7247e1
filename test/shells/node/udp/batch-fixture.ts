/** Listeners of the batched shell: in a worker as they are run, and in this thread to interfere. */
import { afterAll, describe, expect, onTestFinished } from 'vitest'
import type { ListenerFact } from '../../../../core/balance/facts.ts'
import type { Backend } from '../../../../core/balance/group.ts'
import { defaultUdpConfig, type UdpConfig } from '../../../../core/udp/config.ts'
import { UdpLoop } from '../../../../shells/node/udp/batch/loop.ts'
import type { Answer, FromWorker, ToWorker } from '../../../../shells/node/udp/batch/messages.ts'
import { type Libc, loadLibc } from '../../../../shells/node/udp/batch/system/libc.ts'
import { BatchHost, batchProblem } from '../../../../shells/node/udp/batch-host.ts'
import type {
  UdpListener,
  UdpListenerOptions,
  UdpShellCounters,
} from '../../../../shells/node/udp/udp-host.ts'
import { HOST, portOf } from './dgram-fixture.ts'

const problem = await batchProblem()

/** A suite that needs the system calls; says why it is skipped where they are not to be had. */
export const describeBatch = (name: string, suite: () => void): void => {
  describe.skipIf(problem !== undefined)(problem ? `${name} (skipped: ${problem})` : name, suite)
}

/** For suites that are not skipped. */
export async function realLibc(): Promise<Libc> {
  const loaded = await loadLibc()
  if (loaded.type === 'unavailable') throw new Error(loaded.reason)
  return loaded.libc
}

export interface BatchSetup {
  readonly config?: Partial<UdpConfig>
  readonly strategy?: UdpListenerOptions['balance']['strategy']
  readonly backends?: readonly Backend[]
  readonly host?: BatchHost
  /** A worker that behaves otherwise. */
  readonly worker?: URL
}

/** Starting a worker takes longer than most tests: those that do not care share one. */
let shared: BatchHost | undefined
const sharedNotices: string[] = []

export function sharedHost(): BatchHost {
  shared ??= new BatchHost({ notice: (text) => sharedNotices.push(text) })
  return shared
}

afterAll(async () => {
  await shared?.stop()
  expect(sharedNotices).toEqual([])
})

/** A listener, on the shared host unless another is given or a worker is, and what it said. */
export class BatchFixture {
  readonly host: BatchHost
  readonly listener: UdpListener
  readonly facts: ListenerFact[] = []
  readonly hostFailures: string[] = []
  readonly notices: string[] = []
  #version = 0

  constructor(setup: BatchSetup = {}) {
    const { config = {}, strategy = 'round_robin', backends = [], worker } = setup
    const notice = (text: string): void => void this.notices.push(text)
    const own = worker && new BatchHost({ notice, worker })
    if (own) onTestFinished(() => own.stop())
    this.host = setup.host ?? own ?? sharedHost()
    onTestFinished(() => this.listener.abort())
    this.listener = this.host.open({
      config: { ...defaultUdpConfig, ...config },
      balance: { strategy, failOpen: true },
      fact: (fact) => this.facts.push(fact),
      hostFailed: (reason) => this.hostFailures.push(reason),
    })
    if (backends.length > 0) this.apply(backends)
  }

  apply(backends: readonly Backend[]): void {
    this.#version += 1
    this.listener.applyBackends(this.#version, backends)
  }

  /** Resolves to the port. */
  async listen(host = HOST, port = 0): Promise<number> {
    return portOf(await this.listener.listen(host, port))
  }

  said<T extends ListenerFact['type']>(type: T): Extract<ListenerFact, { type: T }>[] {
    return this.facts.filter((fact) => fact.type === type) as Extract<ListenerFact, { type: T }>[]
  }
}

export async function startBatch(
  setup: BatchSetup,
): Promise<{ fixture: BatchFixture; port: number }> {
  const fixture = new BatchFixture(setup)
  return { fixture, port: await fixture.listen() }
}

export interface LoopSetup {
  readonly config?: Partial<UdpConfig>
  readonly backends?: readonly Backend[]
  readonly queuedBytesMax?: number
}

/** The worker's loop in this thread, with one listener and system calls that may be replaced. */
export class LoopFixture {
  readonly loop: UdpLoop
  readonly said: FromWorker[] = []
  readonly #inbox: ToWorker[] = []
  #callLast = 0
  #isOver = false

  constructor(libc: Libc, { config = {}, backends = [], queuedBytesMax }: LoopSetup = {}) {
    this.loop = new UdpLoop({
      libc,
      post: (message) => this.said.push(structuredClone(message)),
      take: () => this.#inbox.shift(),
      ...(queuedBytesMax === undefined ? {} : { queuedBytesMax }),
    })
    const ready = this.said.find((message) => message.type === 'ready')!
    onTestFinished(() => {
      this.#isOver = true // also for what a test that timed out is still waiting for
      this.tell({ type: 'stop' })
      while (this.loop.turn(0)) {}
      libc.close(ready.wake) // its parent's part
    })
    this.tell(
      {
        type: 'open',
        listener: 1,
        config: { ...defaultUdpConfig, ...config },
        balance: { strategy: 'round_robin', failOpen: true },
      },
      { type: 'event', listener: 1, event: { type: 'apply-backends', version: 1, backends } },
    )
  }

  /** Messages for the next turn. */
  tell(...messages: readonly ToWorker[]): void {
    this.#inbox.push(...messages)
    this.loop.wake()
  }

  /** One turn in a moment that leaves other sockets of this thread theirs. */
  async turn(): Promise<void> {
    if (this.#isOver) throw new Error('the test is over')
    this.loop.turn(0)
    await new Promise((resolve) => setImmediate(resolve))
  }

  /** Turns until it holds; the suite's timeout ends a wait for what never comes. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await this.turn()
  }

  async listen(host = HOST, port = 0): Promise<number> {
    const answer = await this.call({ type: 'listen', listener: 1, call: 0, host, port })
    return portOf(answer as string)
  }

  async counters(): Promise<UdpShellCounters> {
    const answer = await this.call({ type: 'counters', listener: 1, call: 0 })
    return answer as UdpShellCounters
  }

  async call(message: Extract<ToWorker, { call: number }>): Promise<Answer> {
    this.#callLast += 1
    const call = this.#callLast
    this.tell({ ...message, call })
    const isIt = (said: FromWorker) =>
      (said.type === 'answer' || said.type === 'refused') && said.call === call
    await this.until(() => this.said.some(isIt))
    const answer = this.said.find(isIt)!
    if (answer.type === 'refused')
      throw Object.assign(new Error(answer.error.message), answer.error)
    return answer.type === 'answer' ? answer.answer : undefined
  }
}
