/**
 * What a flow table of one size costs: `node --expose-gc table-process.ts FLOWS`. A process of its
 * own for each size, so that none runs on what the engine learnt, or the heap kept, from another.
 */
import { type PackedAddress, packIpv4 } from '../../../core/net/packed-address.ts'
import type { FlowCommand } from '../../../core/udp/commands.ts'
import { defaultUdpConfig } from '../../../core/udp/config.ts'
import type { FlowId } from '../../../core/udp/flow-id.ts'
import { FlowTable } from '../../../core/udp/table.ts'
import { median } from '../run.ts'

/** Nanoseconds each, and bytes a flow. */
export interface TableCosts {
  readonly forward: number
  readonly answer: number
  readonly admit: number
  readonly open: number
  readonly close: number
  readonly bytes: number
  /** Of all the process has on its behalf: buffers and heap, after a collection. */
  readonly processBytes: number
}

/** Milliseconds. */
interface Elapsed {
  admit: number
  open: number
  answer: number
  close: number
}

const noTime = (): Elapsed => ({ admit: 0, open: 0, answer: 0, close: 0 })

type Mutable<Type> = { -readonly [Key in keyof Type]: Type[Key] }

/** A table with as many flows as it may have, all of them answered, and whose flow is whose. */
class FullTable {
  readonly table: FlowTable
  now = 0
  readonly #size: number
  readonly #out: FlowCommand[] = []
  readonly #payload = new Uint8Array(64)
  /** Filled in again for every datagram, as a shell that reads into one buffer does. */
  readonly #from: Mutable<PackedAddress> = { ...packIpv4(0, 0) }
  readonly #datagram = {
    type: 'client-datagram',
    from: this.#from,
    to: packIpv4(0x7f00_0001, 53),
    payload: this.#payload,
  } as const
  /** By place: a flow and the number of its client. */
  readonly #flows: Float64Array
  readonly #clients: Int32Array
  #clientsEver = 0
  /** Drawn beforehand, and read one after the other: what is random is only where they lead. */
  readonly #pickedClients = new Int32Array(DATAGRAMS)
  readonly #pickedFlows = new Float64Array(DATAGRAMS)

  constructor(size: number) {
    this.#size = size
    this.#flows = new Float64Array(size)
    this.#clients = new Int32Array(size)
    this.table = new FlowTable({ config: { ...defaultUdpConfig, flowsMax: size } })
    const backends = Array.from({ length: 5 }, (_, at) => ({
      id: `backend ${at}`,
      host: `127.0.0.${at + 1}`,
      port: 53,
    }))
    this.table.step({ type: 'apply-backends', version: 1, backends }, 0, this.#out)
  }

  /** `count` new clients, a batch at a time; adds milliseconds for each step of their way. */
  admit(first: number, count: number, elapsed: Elapsed): void {
    for (let done = 0; done < count; done += BATCH) {
      this.#admitBatch(first + done * STRIDE, Math.min(BATCH, count - done), elapsed)
    }
  }

  #admitBatch(first: number, count: number, elapsed: Elapsed): void {
    const { table } = this
    const admitting = performance.now()
    for (let number = 0; number < count; number++) {
      const place = this.#place(first, number)
      const client = this.#clientsEver++
      this.#clients[place] = client
      this.#setClient(client)
      this.#pass(number)
      table.step(this.#datagram, this.now, this.#out)
      const command = this.#out.at(-1)
      this.#flows[place] = command?.type === 'open-upstream' ? command.flow : Number.NaN
    }
    const opening = performance.now()
    for (let number = 0; number < count; number++) {
      this.#pass(number)
      const flow = this.#flows[this.#place(first, number)] as FlowId
      table.step({ type: 'upstream-opened', flow, attempt: 1 }, this.now, this.#out)
    }
    const answering = performance.now()
    for (let number = 0; number < count; number++) {
      this.#pass(number)
      this.#answer(this.#flows[this.#place(first, number)] as FlowId)
    }
    elapsed.admit += opening - admitting
    elapsed.open += answering - opening
    elapsed.answer += performance.now() - answering
  }

  close(first: number, count: number, elapsed: Elapsed): void {
    const from = performance.now()
    for (let number = 0; number < count; number++) {
      const place = this.#place(first, number)
      this.#pass(number)
      const flow = this.#flows[place] as FlowId
      this.table.step({ type: 'abort-flow', flow }, this.now, this.#out)
    }
    elapsed.close += performance.now() - from
  }

  /** Flows uniformly at random, for what follows. */
  draw(): void {
    for (let pick = 0; pick < DATAGRAMS; pick++) {
      this.#pickedClients[pick] = this.#clients[Math.floor(Math.random() * this.#size)]!
      this.#pickedFlows[pick] = this.#flows[Math.floor(Math.random() * this.#size)]!
    }
  }

  forward(): void {
    for (let at = 0; at < DATAGRAMS; at++) {
      this.#setClient(this.#pickedClients[at]!)
      this.#pass(at)
      this.table.step(this.#datagram, this.now, this.#out)
    }
  }

  answer(): void {
    for (let at = 0; at < DATAGRAMS; at++) {
      this.#pass(at)
      this.#answer(this.#pickedFlows[at] as FlowId)
    }
  }

  /** All over the table: neighbours would share lines of the processor's cache. */
  #place(first: number, number: number): number {
    return (first + number * STRIDE) % this.#size
  }

  /** It did what it is measured for. */
  check(): void {
    const { flowCount, counters } = this.table
    const isFull = flowCount > 0.999 * this.#size
    const dropped = Object.values(counters.dropped).some((count) => count > 0)
    if (!isFull || dropped) throw new Error('the table lost its flows')
  }

  #answer(flow: FlowId): void {
    const event = { type: 'upstream-datagram', flow, attempt: 1, payload: this.#payload } as const
    this.table.step(event, this.now, this.#out)
  }

  /** Another address for each number, in no order. */
  #setClient(number: number): void {
    this.#from.d = Math.imul(number, 0x9e3779b1)
    this.#from.port = 1_024 + (number & 0x7fff)
  }

  /** A millionth of a second passes; after a batch its commands go, and timers that are due. */
  #pass(datagram: number): void {
    this.now += 0.001
    if ((datagram & (BATCH - 1)) !== 0) return
    this.#out.length = 0
    if ((this.table.deadline() ?? Infinity) > this.now) return
    this.table.step({ type: 'tick' }, this.now, this.#out)
    this.#out.length = 0
  }
}

function measure(size: number): TableCosts {
  const full = new FullTable(size)
  const before = memoryInUse()
  full.admit(0, size, noTime())
  full.check()
  const after = memoryInUse()
  const runs: Omit<TableCosts, 'bytes' | 'processBytes'>[] = []
  for (let run = -WARM_UP_RUNS; run < RUNS; run++) {
    full.draw()
    const forward = cpuOf(() => full.forward()) / DATAGRAMS
    const answer = cpuOf(() => full.answer()) / DATAGRAMS
    full.check()
    const churned = churn(full, size)
    if (run >= 0) runs.push({ forward, answer, ...churned })
  }
  const medianOf = (what: keyof (typeof runs)[number]): number =>
    median(runs.map((run) => run[what])) * 1_000
  return {
    forward: medianOf('forward'),
    answer: medianOf('answer'),
    admit: medianOf('admit'),
    open: medianOf('open'),
    close: medianOf('close'),
    bytes: full.table.memoryBytes / size,
    processBytes: (after - before) / size,
  }
}

/** Flows close and others come in their place, in a table that is full otherwise. */
function churn(full: FullTable, size: number): { admit: number; open: number; close: number } {
  const count = Math.min(size, CHURN)
  const rounds = Math.ceil(CHURN / count)
  const elapsed = noTime()
  const cpu = cpuOf(() => {
    for (let round = 0; round < rounds; round++) {
      const first = Math.floor(Math.random() * size)
      full.close(first, count, elapsed)
      full.admit(first, count, elapsed)
    }
  })
  // A few of a kind are too short for the clock of the processor: they share what all cost.
  const whole = elapsed.admit + elapsed.open + elapsed.answer + elapsed.close
  const each = cpu / whole / (rounds * count)
  return { admit: elapsed.admit * each, open: elapsed.open * each, close: elapsed.close * each }
}

/**
 * Microseconds of the processor, in all threads of this process, the collector's too: whatever
 * else runs on this machine does not count.
 */
function cpuOf(work: () => void): number {
  const before = process.cpuUsage()
  work()
  const { user, system } = process.cpuUsage(before)
  return user + system
}

function memoryInUse(): number {
  globalThis.gc?.()
  globalThis.gc?.()
  const { arrayBuffers, heapUsed } = process.memoryUsage()
  return arrayBuffers + heapUsed
}

/** In a run, each to a flow drawn anew: none is left alone for as long as its timeout. */
const DATAGRAMS = 2 ** 20
/** A prime that divides no number of flows. */
const STRIDE = 7_919
const BATCH = 64
const CHURN = 100_000
const WARM_UP_RUNS = 3
const RUNS = 15

if (import.meta.main) process.send?.(measure(Number(process.argv[2])))
