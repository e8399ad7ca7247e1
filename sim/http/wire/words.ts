/** Events and commands as a line for people who read a trace. */
import type { IngressCommand } from '../../../core/http/commands.ts'
import type { IngressEvent } from '../../../core/http/events.ts'
import { toText } from './content.ts'

export function briefEvent(event: IngressEvent): string {
  switch (event.type) {
    case 'tick':
      return 'tick'
    case 'client-data':
      return `client-data ${event.client} ${briefBytes(event.bytes)}`
    case 'upstream-data':
      return `upstream-data ${event.upstream} ${briefBytes(event.bytes)}`
    case 'configure-listener':
      return `configure-listener ${event.listener} ${JSON.stringify(event.config)}`
    case 'accepted':
      return `accepted ${event.client} ${event.port}`
    case 'stream-opened':
      return `stream-opened ${event.client} ${event.port} ${event.isLast} ${JSON.stringify(event.head)}`
    default: {
      const { type, ...rest } = event
      return `${type} ${JSON.stringify(rest)}`
    }
  }
}

/** All of it but the bytes of long bodies, which checkers look at. */
export function briefCommand(command: IngressCommand): string {
  switch (command.type) {
    case 'write-client':
      return `write-client ${command.client} ${briefWrite(command.head, command.bytes)}`
    case 'write-upstream':
      return `write-upstream ${command.upstream} ${briefWrite(command.head, command.bytes)}`
    case 'read':
    case 'pause-client':
    case 'resume-client':
    case 'end-client':
      return `${command.type} ${command.client}`
    default: {
      const { type, ...rest } = command
      return `${type} ${JSON.stringify(rest)}`
    }
  }
}

const briefWrite = (head: string, bytes: Uint8Array | undefined): string =>
  `${brief(head)}${bytes === undefined ? '' : ` + ${briefBytes(bytes)}`}`

const briefBytes = (bytes: Uint8Array): string =>
  `${bytes.length} bytes ${brief(toText(bytes.subarray(0, SHOWN)))}`

const brief = (text: string): string =>
  text.length <= HEAD_SHOWN ? text : `${text.slice(0, HEAD_SHOWN)}... (${text.length})`

const SHOWN = 40
const HEAD_SHOWN = 600
