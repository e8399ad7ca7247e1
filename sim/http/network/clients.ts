/** Who comes, with what in mind; and who is there. */
import type { ClientId, PortId } from '../../../core/http/events.ts'
import { drawRequest, type RequestPlan } from '../wire/requests.ts'
import type { HttpWorld } from '../world.ts'
import type { ClientPeer, ClientPlan } from './client-peer.ts'
import { H1Client } from './h1-client.ts'
import type { Manners } from './peer.ts'
import { clientAt, LOCAL, PORTS } from './places.ts'
import { StreamClient } from './stream-client.ts'

export class HttpClients {
  /** That the process did not let go of. */
  readonly live = new Map<ClientId, ClientPeer>()
  /** How many ever came. */
  lastId = 0
  readonly #world: HttpWorld
  #numberLast = 0

  constructor(world: HttpWorld) {
    this.#world = world
  }

  begin(): void {
    const world = this.#world
    const { everyMs, liveMax } = world.options.clients
    world.at(world.draws.clients.between(1, 2 * everyMs), () => {
      if (world.healed) return
      if (this.live.size < liveMax) this.arrive(this.#drawPlan())
      this.begin()
    })
  }

  /** The process accepts it, unless its port is closed by then. */
  arrive(plan: ClientPlan): void {
    const world = this.#world
    world.inProcess(0, () => {
      if (!world.operator.isOpen(plan.port)) return
      this.#enter(plan)
    })
  }

  of(id: ClientId): ClientPeer {
    const client = this.live.get(id)
    if (client === undefined) this.#world.fail('http handles', `client ${id} is not there`)
    return client
  }

  stream(id: ClientId): StreamClient {
    const client = this.of(id)
    if (client instanceof StreamClient) return client
    return this.#world.fail('http handles', `client ${id} is no stream`)
  }

  close(id: ClientId, isReset: boolean): void {
    const client = this.of(id)
    this.live.delete(id)
    client.released(isReset)
  }

  /** Its streams are clients from now on; the connection itself is the shell's. */
  becomeSession(id: ClientId, bytes: string): void {
    const world = this.#world
    const client = this.of(id)
    if (!client.plan.withPreface || !bytes.startsWith('PRI')) {
      world.fail('http framing', `client ${id} does not speak HTTP/2`)
    }
    client.isSession = true
    client.isHeld = false
    this.live.delete(id)
    const { plan } = client
    for (const _ of plan.requests) {
      const request = this.drawRequest(true)
      const streamPlan = { ...plan, isStream: true, withPreface: false, requests: [request] }
      world.inProcess(world.draws.clients.below(50), () => this.#enter(streamPlan))
    }
  }

  drawRequest(isStream: boolean): RequestPlan {
    const world = this.#world
    const options = world.healed ? { ...world.options.clients, ...WELL } : world.options.clients
    this.#numberLast += 1
    return drawRequest(this.#numberLast, options, isStream, world.draws.clients)
  }

  /** Comes and asks for one thing, when all is well; the number of the request. */
  ask(port: PortId, target: string): number {
    const drawn = this.drawRequest(false)
    const { number } = drawn
    const head = `GET ${target} HTTP/1.1\r\nHost: ${drawn.host}\r\nX-Number: ${number}\r\n`
    const twice = `x-twice: one\r\nX-Twice: two ${number}\r\n\r\n`
    const sound = { method: 'GET', target, head: head + twice, body: '', content: '' } as const
    const bare = { framing: 'none', trailers: [], expects: false, upgrade: '' } as const
    this.arrive({
      isStream: false,
      port,
      peers: { source: clientAt(3), destination: LOCAL },
      isSecure: false,
      manners: { pieceMax: 65_536, dripMs: 0, stallMs: 0 },
      requests: [{ ...drawn, ...sound, ...bare, closes: false }],
      isPipelined: false,
      thinkMs: 0,
      withPreface: false,
      leavesAtByte: undefined,
      leavesAfterMs: undefined,
      ends: 'answered',
    })
    return number
  }

  #enter(plan: ClientPlan): void {
    this.lastId += 1
    const id = this.lastId as ClientId
    const client = plan.isStream
      ? new StreamClient(id, plan, this.#world)
      : new H1Client(id, plan, this.#world)
    this.live.set(id, client)
    client.begin()
  }

  #drawPlan(): ClientPlan {
    const world = this.#world
    const draw = world.draws.clients
    const { clients: options } = world.options
    const percent = (of: number): boolean => draw.below(100) < of
    const isStream = percent(options.streamsPercent)
    const withPreface = !isStream && draw.below(40) === 0
    const count = isStream ? 1 : draw.between(1, options.requestsMax)
    const requests = Array.from({ length: count }, () => this.drawRequest(isStream))
    const isFlawed = requests.some(({ flaw }) => flaw !== undefined)
    // Nothing may follow what makes the end of its connection, or changes its protocol.
    const lastAt = requests.findIndex(({ closes, upgrade }) => closes || upgrade !== '')
    if (lastAt >= 0) requests.length = lastAt + 1
    const manners: Manners = {
      pieceMax: options.pieceMax,
      dripMs: percent(options.dripsPercent) ? options.slowMsMax : 0,
      stallMs: percent(options.stallsPercent) ? options.slowMsMax : 0,
    }
    const leaves = percent(options.leavesPercent)
    const leavesByByte = leaves && draw.below(2) === 0
    const bytes = requests.reduce((sum, { head, body }) => sum + head.length + body.length, 0)
    return {
      isStream,
      port: draw.pick(PORTS).id,
      peers: { source: clientAt(draw.below(5)), destination: LOCAL },
      isSecure: draw.below(4) === 0,
      manners,
      requests,
      isPipelined: percent(options.pipelinedPercent) || (isFlawed && draw.below(2) === 0),
      thinkMs: options.thinkMsMax,
      withPreface,
      leavesAtByte: leavesByByte && !isStream ? draw.below(bytes + 1) : undefined,
      leavesAfterMs: leaves && !leavesByByte ? draw.below(options.slowMsMax) : undefined,
      ends: percent(options.endsPercent) ? 'at once' : draw.pick(['answered', 'answered', 'never']),
    }
  }
}

const WELL = { flawedPercent: 0, oldPercent: 0, upgradePercent: 0, expectPercent: 0 }
