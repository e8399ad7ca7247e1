/** What an entrance wants done with the connections on their way in. */
import type { ConnectionId } from '../events.ts'
import type { Peers } from './events.ts'

export type EntranceCommand =
  // begin to read
  | { readonly type: 'read'; readonly connection: ConnectionId }
  // read no more until it is handed on; the kernel keeps what comes
  | { readonly type: 'hold'; readonly connection: ConnectionId }
  // do a TLS handshake as the server, beginning with these bytes; answered by secured or secure-failed
  | {
      readonly type: 'secure'
      readonly connection: ConnectionId
      readonly bytes: Uint8Array
      /** What it asks for, in lower case; absent where it was not looked at, or names nothing. */
      readonly serverName?: string
    }
  // it is through; `bytes` were read and come first. The last command of a connection, or refuse
  | {
      readonly type: 'admit'
      readonly connection: ConnectionId
      /** Of the route that was chosen. */
      readonly route: RouteId
      readonly bytes: Uint8Array
      /** Absent where nobody said. */
      readonly peers?: Peers
    }
  // release the socket
  | {
      readonly type: 'refuse'
      readonly connection: ConnectionId
      readonly reason: EntranceRefusal
      /** The client shall see a reset. */
      readonly reset: boolean
      /** Send this first: a TLS alert. Empty: nothing. */
      readonly bytes: Uint8Array
    }

/** Chosen by whoever configures. */
export type RouteId = string

export type EntranceRefusal =
  | 'entrance-full'
  | 'greeting-timeout' // header, hello or handshake did not come in time
  | 'proxy-header' // malformed, or missing from a trusted proxy
  | 'not-tls' // no ClientHello where one is needed
  | 'no-route' // nobody serves the name it asks for
  | 'handshake' // TLS failed
  | 'client-gone' // ended or broke on the way in
  | 'closing'
