import type { NodeCommand, SocketCommand } from '../../core/node/commands.ts'
import type { NodeEvent } from '../../core/node/events.ts'
import type { StreamListenerCommand } from '../../core/stream/commands.ts'
import type { EntranceCommand } from '../../core/stream/entrance/commands.ts'
import type { EntranceEvent } from '../../core/stream/entrance/events.ts'
import type { StreamListenerEvent } from '../../core/stream/events.ts'
import type { FlowCommand } from '../../core/udp/commands.ts'
import type { FlowEvent } from '../../core/udp/events.ts'
import type { Arrivals } from '../faults/arrivals.ts'
import type { UdpDoor } from '../faults/datagrams.ts'
import type { Holder } from '../faults/host-ports.ts'
import type { FrontDoor } from '../faults/listeners.ts'
import type { Group } from '../faults/runtime.ts'
import type { SimSocket } from '../faults/sockets.ts'
import type { ConnectionCommand, Stream } from '../faults/streams.ts'
import type { Change, ClientFate } from '../trace.ts'
import type { Via } from '../workloads/clients.ts'
import type { SimulatedNode, World } from '../world.ts'

export type CheckerName =
  | 'universal'
  | 'services'
  | 'shutdowns'
  | 'ports'
  | 'settled'
  | 'listeners'
  | 'sockets'
  | 'entrances'
  | 'udp model'
  | 'udp routes'
  | 'udp lives'
  | 'udp backends'
  | 'udp universal'
  | 'http framing'
  | 'http messages'
  | 'http routes'
  | 'http pool'
  | 'http handles'
  | 'http buffers'
  | 'http backends'
  | 'http exchanges'
  | 'http timeouts'
  | 'http universal'

/**
 * Watches a world and never steers it. What it compares with is what the world knows to be true
 * and what was really said, never the machine's own counters. It reports with {@link World.fail}.
 */
export interface Checker {
  readonly name: CheckerName
  /** Before the event reaches the machine. */
  onEvent?(event: NodeEvent, world: World): void
  /** After the machine's step, before its commands run. */
  onStep?(
    event: NodeEvent,
    commands: readonly NodeCommand[],
    machine: SimulatedNode,
    world: World,
  ): void
  /** Before the command runs. */
  onCommand?(command: NodeCommand, world: World): void
  /** A machine and its restored twin were fed the same event. */
  onTwin?(
    event: NodeEvent,
    commands: readonly NodeCommand[],
    twins: readonly NodeCommand[],
    world: World,
  ): void
  onChange?(change: Change, world: World): void
  /** After a stream machine's step and its commands. */
  onStream?(
    door: FrontDoor,
    event: StreamListenerEvent,
    commands: readonly StreamListenerCommand[],
    world: World,
  ): void
  /** After a flow table's step, before its commands. */
  onDatagram?(door: UdpDoor, event: FlowEvent, commands: readonly FlowCommand[], world: World): void
  /** After an entrance's step, before its commands. */
  onEntrance?(
    arrivals: Arrivals,
    event: EntranceEvent,
    commands: readonly EntranceCommand[],
    world: World,
  ): void
  /** A socket of the node's is there, in truth. */
  onBound?(socket: SimSocket, world: World): void
  /** The kernel refused it for somebody else's sake. */
  onInUse?(
    command: Extract<SocketCommand, { type: 'bind-socket' }>,
    holder: Holder,
    world: World,
  ): void
  /** A client is to be connected to a backend. */
  onConnect?(
    door: FrontDoor,
    stream: Stream,
    command: Extract<ConnectionCommand, { type: 'connect-upstream' }>,
    world: World,
  ): void
  /** Somebody who came this way got through to a program, at that port of it. */
  onReached?(via: Via, group: Group, port: number, world: World): void
  onClientGone?(
    door: FrontDoor,
    stream: Stream,
    how: ClientFate,
    reason: string,
    world: World,
  ): void
  /** After all commands of a step ran. */
  afterStep?(world: World): void
  /** Everything was healed and has come to rest; then everything was shut down. */
  atRest?(world: World): void
  atEnd?(world: World): void
}

/** Something happened that must never happen. */
export class CheckFailure extends Error {
  override readonly name = 'CheckFailure'
  readonly checker: CheckerName

  constructor(checker: CheckerName, message: string) {
    super(message)
    this.checker = checker
  }
}

/** Something that must happen did not. */
export class LivenessFailure extends Error {
  override readonly name = 'LivenessFailure'
}
