/**
 * Datagrams from a million addresses that do not exist, at a table with room for 10,000 flows of
 * which 1,000 are those of clients that were there before (udp W17).
 */
import { describe, expect, test } from 'vitest'
import type { Instant } from '../../../core/machine.ts'
import { type PackedAddress, packIpv4 } from '../../../core/net/packed-address.ts'
import type { FlowCommand } from '../../../core/udp/commands.ts'
import { defaultUdpConfig, type UdpConfig } from '../../../core/udp/config.ts'
import type { FlowEvent } from '../../../core/udp/events.ts'
import type { FlowId } from '../../../core/udp/flow-id.ts'
import { checkInvariants } from '../../../core/udp/invariants.ts'
import { FlowTable } from '../../../core/udp/table.ts'
import { backends, LOCAL } from './rows.ts'

const FLOWS_MAX = 10_000
const CLIENTS = 1_000
/** 50,000 datagrams a second. */
const BETWEEN_MS = 0.02
/** One datagram of a client for so many of the flood: each client's comes about every 2 s. */
const PER_CLIENT_DATAGRAM = 100
/** What a mass close may do in one step. */
const TICK_COMMANDS_MAX = 1_024

/** What the network and the backends make of a spoofed client's flow. */
type Fate = 'never opened' | 'opened' | 'answered'

interface Flood {
  /** The number of the first; each has an address of its own. */
  readonly from?: number
  readonly datagrams: number
  /** Of the flow of each datagram. */
  readonly fateOf: (datagram: number) => Fate
}

class Scene {
  readonly table: FlowTable
  now: Instant = 0
  /** Commands of the longest step, by the event that caused it. */
  readonly mostCommands: Partial<Record<FlowEvent['type'], number>> = {}
  mostFlows = 0
  /** Flows that opened and have not closed, as the commands tell it. */
  live = 0
  readonly clients: { readonly address: PackedAddress; readonly flow: FlowId }[] = []
  readonly #out: FlowCommand[] = []
  readonly #payload = new Uint8Array(64)

  constructor(config: Partial<UdpConfig> = {}) {
    this.table = new FlowTable({ config: { ...defaultUdpConfig, flowsMax: FLOWS_MAX, ...config } })
    this.run(backends(1, 'ABC'))
    for (let client = 0; client < CLIENTS; client++) {
      const address = clientAddress(client)
      this.clients.push({ address, flow: this.becomeClient(address) })
    }
  }

  /** The commands are good until the next step. */
  run(event: FlowEvent): readonly FlowCommand[] {
    const out = this.#out
    out.length = 0
    this.table.step(event, this.now, out)
    this.mostCommands[event.type] = Math.max(this.mostCommands[event.type] ?? 0, out.length)
    for (const command of out) {
      if (command.type === 'open-upstream' && command.attempt === 1) this.live += 1
      if (command.type === 'close-flow') this.live -= 1
    }
    this.mostFlows = Math.max(this.mostFlows, this.table.flowCount)
    return out
  }

  query(from: PackedAddress): readonly FlowCommand[] {
    return this.run({ type: 'client-datagram', from, to: LOCAL, payload: this.#payload })
  }

  answer(flow: FlowId): readonly FlowCommand[] {
    return this.run({ type: 'upstream-datagram', flow, attempt: 1, payload: this.#payload })
  }

  /** Asks and is answered. */
  becomeClient(address: PackedAddress): FlowId {
    const flow = openedBy(this.query(address))!
    this.run({ type: 'upstream-opened', flow, attempt: 1 })
    this.answer(flow)
    return flow
  }

  /** A client that was there before asks again, and nothing but its own socket is used for it. */
  serve(number: number): void {
    const { address, flow } = this.clients[number % CLIENTS]!
    const [up, ...moreUp] = this.query(address)
    if (up?.type !== 'send-upstream' || up.flow !== flow || up.attempt !== 1) unserved(number, up)
    if (moreUp.length > 0) unserved(number, moreUp[0])
    const [down, ...moreDown] = this.answer(flow)
    if (down?.type !== 'send-client' || down.to.d !== address.d) unserved(number, down)
    if (moreDown.length > 0) unserved(number, moreDown[0])
  }

  /** As a shell does it: looks at the deadline after each batch. */
  tick(): void {
    if ((this.table.deadline() ?? Infinity) > this.now) return
    this.run({ type: 'tick' })
  }

  tickUntil(end: Instant): void {
    for (let due = this.table.deadline(); due !== undefined && due <= end; ) {
      this.now = Math.max(this.now, due)
      this.run({ type: 'tick' })
      due = this.table.deadline()
    }
    this.now = end
  }
}

function unserved(client: number, command: FlowCommand | undefined): never {
  throw new Error(`client ${client} is not served: ${JSON.stringify(command)}`)
}

const clientAddress = (number: number): PackedAddress => packIpv4(0x0a00_0000 + number, 5_353)
/** Each one another address. */
const spoofedAddress = (number: number): PackedAddress =>
  packIpv4(0x4000_0000 + number, 1_024 + (number % 50_000))

const openedBy = (commands: readonly FlowCommand[]): FlowId | undefined => {
  const last = commands.at(-1)
  return last?.type === 'open-upstream' ? last.flow : undefined
}

/** Every client is served all the while; memory after the table was full, and in the end. */
function flood(
  scene: Scene,
  { from = 0, datagrams, fateOf }: Flood,
): { full: number; end: number } {
  let full = 0
  for (let number = from; number < from + datagrams; number++) {
    scene.now += BETWEEN_MS
    const flow = openedBy(scene.query(spoofedAddress(number)))
    const fate = fateOf(number)
    if (flow !== undefined && fate !== 'never opened') {
      scene.run({ type: 'upstream-opened', flow, attempt: 1 })
      if (fate === 'answered') scene.answer(flow)
    }
    if (number % PER_CLIENT_DATAGRAM === 0) scene.serve(number / PER_CLIENT_DATAGRAM)
    if (number % 64 === 0) scene.tick()
    if (number === 2 * FLOWS_MAX) full = scene.table.memoryBytes
  }
  return { full, end: scene.table.memoryBytes }
}

const sum = (counts: Readonly<Record<string, number>>): number =>
  Object.values(counts).reduce((total, count) => total + count, 0)

describe('1,000,000 spoofed sources', () => {
  test('that nobody answers: clients are served, memory is flat, the counters are right', () => {
    const datagrams = 1_000_000
    const scene = new Scene()
    const before = scene.clients.map(({ flow }) => scene.table.flow(flow, scene.now)?.backend)
    const { full, end } = flood(scene, {
      datagrams,
      fateOf: (number) => (number % 2 === 0 ? 'opened' : 'never opened'),
    })
    const { table } = scene
    const { counters, state } = table
    expect(scene.mostFlows).toBe(FLOWS_MAX)
    expect(scene.live).toBe(FLOWS_MAX)
    expect([end, state.held.size <= FLOWS_MAX]).toEqual([full, true])
    expect(end / FLOWS_MAX).toBeLessThan(160)
    // One goes for each that comes: nobody is shed, and none of them lives for its 5 s.
    expect(counters.created).toBe(CLIENTS + datagrams)
    expect(counters.closed.evicted).toBe(CLIENTS + datagrams - FLOWS_MAX)
    expect(sum(counters.closed)).toBe(counters.closed.evicted)
    const served = datagrams / PER_CLIENT_DATAGRAM
    expect(counters.datagramsDown).toBe(CLIENTS + served)
    expect(counters.datagramsUp).toBe(CLIENTS + served + datagrams / 2)
    // Of those whose socket never opened, what they sent is lost with them; the rest is still held.
    expect(counters.dropped['held-lost'] + state.held.size).toBe(datagrams / 2)
    expect(sum(counters.dropped)).toBe(counters.dropped['held-lost'])
    expect(scene.mostCommands).toEqual({
      'apply-backends': 1,
      'client-datagram': 2, // one closes, one opens
      'upstream-opened': 1,
      'upstream-datagram': 1,
      tick: 0,
    })
    checkInvariants(table)
    // Five seconds later only the clients are left, each with the backend it had.
    scene.tickUntil(scene.now + 5_100)
    expect(table.flowCount).toBe(CLIENTS)
    expect(counters.closed['half-open']).toBe(FLOWS_MAX - CLIENTS)
    expect(scene.mostCommands.tick).toBeLessThanOrEqual(TICK_COMMANDS_MAX)
    const after = scene.clients.map(({ flow }) => table.flow(flow, scene.now)?.backend)
    expect(after).toEqual(before)
    checkInvariants(table)
  }, 300_000)
})

describe('a flood', () => {
  test('that backends answer fills the table: it is shed, and clients are served', () => {
    const datagrams = 200_000
    const scene = new Scene()
    const { full, end } = flood(scene, { datagrams, fateOf: () => 'answered' })
    const { counters } = scene.table
    expect([scene.mostFlows, scene.live, end]).toEqual([FLOWS_MAX, FLOWS_MAX, full])
    expect(counters.created).toBe(FLOWS_MAX)
    expect(counters.dropped.shed).toBe(datagrams - (FLOWS_MAX - CLIENTS))
    expect(sum(counters.dropped)).toBe(counters.dropped.shed)
    expect(sum(counters.closed)).toBe(0)
    checkInvariants(scene.table)
  })

  test('of long datagrams holds no more bytes than it may', () => {
    const heldBytesMax = 100_000
    const scene = new Scene({ heldBytesMax })
    flood(scene, { datagrams: 50_000, fateOf: () => 'never opened' })
    const { counters, state } = scene.table
    expect(state.heldBytes).toBeLessThanOrEqual(heldBytesMax)
    // What there was no room for was dropped, and is counted.
    expect(counters.dropped['held-overflow']).toBeGreaterThan(0)
    expect(sum(counters.dropped) + state.held.size).toBe(50_000)
    checkInvariants(scene.table)
  })

  test('does not keep a newcomer out whose backend answers it', () => {
    const scene = new Scene()
    const newcomers: FlowId[] = []
    for (let round = 0; round < 100; round++) {
      flood(scene, { from: round * 500, datagrams: 500, fateOf: () => 'opened' })
      newcomers.push(scene.becomeClient(packIpv4(0x0b00_0000 + round, 53)))
    }
    expect(scene.table.flowCount).toBe(FLOWS_MAX)
    const lost = newcomers.filter((flow) => scene.table.flow(flow, scene.now) === undefined)
    expect(lost).toEqual([])
  })

  test('leaves nothing behind where addresses are counted', () => {
    const scene = new Scene({ affinity: 'source-ip', flowsPerSourceMax: 5 })
    flood(scene, { datagrams: 50_000, fateOf: () => 'never opened' })
    expect(scene.table.state.sources.size).toBe(FLOWS_MAX)
    scene.tickUntil(scene.now + 5_100)
    expect(scene.table.state.sources.size).toBe(CLIENTS)
    checkInvariants(scene.table)
  })

  test('of one address takes as many flows as an address may have', () => {
    const scene = new Scene({ flowsPerSourceMax: 100 })
    for (let port = 1; port <= 60_000; port++) scene.query(packIpv4(0x4000_0000, port))
    const { counters } = scene.table
    expect(scene.table.flowCount).toBe(CLIENTS + 100)
    expect(counters.dropped['source-limit']).toBe(60_000 - 100)
    expect(sum(counters.closed)).toBe(0)
  })
})
