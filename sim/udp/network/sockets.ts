/** The upstream sockets of the process: what is really open, whatever the table believes. */
import type { BackendId } from '../../../core/balance/group.ts'
import type { Attempt } from '../../../core/machine.ts'
import type { FlowCommand } from '../../../core/udp/commands.ts'
import type { FlowId } from '../../../core/udp/flow-id.ts'
import type { UdpWorld } from '../world.ts'

export interface UpstreamSocket {
  readonly flow: FlowId
  readonly attempt: Attempt
  readonly backend: BackendId
  readonly host: string
  readonly port: number
  /** Of the process whose it is. */
  readonly life: number
  state: 'opening' | 'open' | 'failed' | 'closed'
}

type SocketCommand = Extract<
  FlowCommand,
  { type: 'open-upstream' | 'send-upstream' | 'close-upstream' | 'close-flow' }
>

export class Sockets {
  /** Those that exist, opening ones included. */
  readonly all = new Map<string, UpstreamSocket>()
  opened = 0
  closed = 0
  readonly #world: UdpWorld

  constructor(world: UdpWorld) {
    this.#world = world
  }

  apply(command: SocketCommand): void {
    const world: UdpWorld = this.#world
    const name = `${command.flow}.${command.attempt}`
    const socket = this.all.get(name)
    switch (command.type) {
      case 'open-upstream': {
        if (socket !== undefined) world.fail('udp lives', `${name} is opened twice`)
        const { flow, attempt, backend, host, port } = command
        const { lifeNumber: life } = world
        this.#open({ flow, attempt, backend, host, port, life, state: 'opening' })
        return
      }
      case 'send-upstream':
        return this.#send(name, socket, command)
      case 'close-upstream':
      case 'close-flow':
        if (socket === undefined) world.fail('udp lives', `${name} is closed and not there`)
        socket.state = 'closed'
        this.closed += 1
        this.all.delete(name)
        return
    }
  }

  /** The kernel closes every socket of a process that is gone. */
  processEnded(): void {
    for (const socket of this.all.values()) socket.state = 'closed'
    this.closed += this.all.size
    this.all.clear()
  }

  /** A datagram of its backend arrived at the socket, or its port is unreachable. */
  receive(socket: UpstreamSocket, bytes: Uint8Array): void {
    this.#tell(socket, () => {
      const { flow, attempt } = socket
      if (socket.state !== 'open' && socket.state !== 'closed') return
      this.#world.tell({ type: 'upstream-datagram', flow, attempt, payload: bytes })
    })
  }

  /** The kernel says so on the next send or receive: the socket itself stays. */
  unreachable(socket: UpstreamSocket): void {
    this.#tell(socket, () => this.#fail(socket, 'backend', 'connection refused'))
  }

  #open(socket: UpstreamSocket): void {
    const world = this.#world
    const { opensLate, openHangs, openRefused, openLacks, answersTwice, lateMsMax } =
      world.options.faults
    const draw = world.draws.faults
    this.all.set(`${socket.flow}.${socket.attempt}`, socket)
    this.opened += 1
    if (world.happens(openHangs)) return
    const refused = world.happens(openRefused)
    const lacks = world.happens(openLacks)
    const delayMs = world.happens(opensLate) ? draw.between(1, lateMsMax) : draw.below(3)
    const answer = (): void => {
      if (lacks) return this.#fail(socket, 'host', 'too many open files')
      if (refused) return this.#fail(socket, 'backend', 'network is unreachable')
      if (socket.state === 'opening') socket.state = 'open'
      world.tell({ type: 'upstream-opened', flow: socket.flow, attempt: socket.attempt })
    }
    world.inProcess(delayMs, () => this.#tell(socket, answer))
    if (!world.happens(answersTwice)) return
    world.inProcess(delayMs + draw.below(50), () => this.#tell(socket, answer))
  }

  #send(
    name: string,
    socket: UpstreamSocket | undefined,
    { header, payload }: Extract<FlowCommand, { type: 'send-upstream' }>,
  ): void {
    const world: UdpWorld = this.#world
    if (socket === undefined) world.fail('udp routes', `it sends on ${name}, which is closed`)
    if (socket.state === 'opening') world.fail('udp routes', `it sends on ${name} too early`)
    if (world.happens(world.options.faults.sendFull)) return
    const sent = { socket, header: header?.slice(), bytes: payload.slice() }
    world.link.carry(() => world.servers.receive(sent))
  }

  #fail(socket: UpstreamSocket, blame: 'backend' | 'host', reason: string): void {
    if (socket.state === 'opening') socket.state = 'failed'
    const { flow, attempt } = socket
    this.#world.tell({ type: 'upstream-failed', flow, attempt, blame, reason })
  }

  /** What a closed socket had to say is not told, unless it was on its way already. */
  #tell(socket: UpstreamSocket, run: () => void): void {
    const world = this.#world
    if (socket.life !== world.lifeNumber) return // another process has other sockets
    if (socket.state === 'closed' && !world.happens(world.options.faults.toldStale)) return
    run()
  }
}
