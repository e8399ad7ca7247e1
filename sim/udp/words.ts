/** Events and commands as a line for people who read a trace. */
import { formatPacked } from '../../core/net/packed-address.ts'
import type { FlowCommand } from '../../core/udp/commands.ts'
import type { FlowEvent } from '../../core/udp/events.ts'

export function briefEvent(event: FlowEvent): string {
  switch (event.type) {
    case 'client-datagram':
      return `client-datagram ${formatPacked(event.from)} > ${formatPacked(event.to)} ${event.payload.length} bytes`
    case 'upstream-datagram':
      return `upstream-datagram ${event.flow}.${event.attempt} ${event.payload.length} bytes`
    case 'upstream-opened':
      return `upstream-opened ${event.flow}.${event.attempt}`
    case 'upstream-failed':
      return `upstream-failed ${event.flow}.${event.attempt} ${event.blame}: ${event.reason}`
    case 'apply-backends':
      return `apply-backends ${event.version} ${JSON.stringify(event.backends)}`
    case 'cut-backend':
      return `cut-backend ${event.backend}`
    case 'configure':
      return `configure ${JSON.stringify(event.config)}`
    case 'abort-flow':
      return `abort-flow ${event.flow}`
    default:
      return event.type
  }
}

/** All of it but the bytes of payloads, which checkers look at. */
export function briefCommand(command: FlowCommand): string {
  switch (command.type) {
    case 'open-upstream':
      return `open-upstream ${command.flow}.${command.attempt} ${command.backend} ${command.host}:${command.port}`
    case 'send-upstream':
      return `send-upstream ${command.flow}.${command.attempt} ${command.header?.length ?? 0}+${command.payload.length} bytes`
    case 'send-client':
      return `send-client ${command.flow} ${formatPacked(command.from)} > ${formatPacked(command.to)} ${command.payload.length} bytes`
    case 'close-upstream':
      return `close-upstream ${command.flow}.${command.attempt}`
    case 'close-flow':
      return `close-flow ${command.flow}.${command.attempt} ${command.reason} ${formatPacked(command.client)} ${command.backend} ${JSON.stringify(command.totals)}`
    case 'backends-applied':
      return `backends-applied ${command.version}`
    case 'backend-drained':
      return `backend-drained ${command.backend} ${command.version}`
    case 'backend-failed':
      return `backend-failed ${command.backend}: ${command.reason}`
    default:
      return command.type
  }
}
