/** What happens to an HTTP ingress: its ports, its clients, the backends of its listeners. */
import type { Backend, BackendId, GroupOptions } from '../balance/group.ts'
import type { Peers } from '../stream/entrance/events.ts'
import type { HttpListenerConfig, HttpRoute, IngressConfig, PortLimits } from './config.ts'

declare const client: unique symbol
/**
 * A client connection of HTTP/1.1, or one stream of HTTP/2: the shell counts up from 1 and never
 * uses a number again.
 */
export type ClientId = number & { readonly [client]: 'ClientId' }

declare const upstream: unique symbol
/**
 * A connection to a backend, or one stream of HTTP/2 to it: the machine counts up from 1 and never
 * uses a number again, so that it is the attempt token of everything said about it.
 */
export type UpstreamId = number & { readonly [upstream]: 'UpstreamId' }

/** A listening socket, named by whoever opens it. */
export type PortId = string

/** What is behind routes: an endpoint of a service. Named by whoever configures. */
export type HttpListenerId = string

/** Of a connection that TLS was ended for. */
export interface TlsFacts {
  /** What the client asked for, lower case; absent where it named nothing. */
  readonly serverName?: string
}

export type IngressEvent = ControlEvent | ClientEvent | UpstreamEvent | TickEvent

export type TickEvent = { readonly type: 'tick' } // the deadline may have come

export type ControlEvent =
  // for what begins from now on
  | { readonly type: 'configure'; readonly config: IngressConfig }
  // makes it, or gives it other settings for exchanges that begin from now on. Not data: a strategy
  // is an object; present when the listener is made, or chooses in another way from now on
  | {
      readonly type: 'configure-listener'
      readonly listener: HttpListenerId
      readonly config: HttpListenerConfig
      readonly balance?: GroupOptions
    }
  // the whole set; a backend missing in it takes nothing new and drains
  | {
      readonly type: 'apply-backends'
      readonly listener: HttpListenerId
      readonly version: number
      readonly backends: readonly Backend[]
      /** Without a backend to choose: `hold` requests and say `wanted`, or refuse them. */
      readonly whenEmpty: WhenEmpty
    }
  // end the live exchanges and tunnels of this backend
  | {
      readonly type: 'cut-backend'
      readonly listener: HttpListenerId
      readonly backend: BackendId
    }
  // no route leads to it any more; `emptied` follows when nothing is left on it
  | { readonly type: 'close-listener'; readonly listener: HttpListenerId }
  // end all that goes through it; `emptied` follows
  | { readonly type: 'abort-listener'; readonly listener: HttpListenerId }
  // opens the port, or gives it other routes for requests that begin from now on
  | {
      readonly type: 'apply-routes'
      readonly port: PortId
      /** Its number, as clients see it, for redirects. */
      readonly number: number
      readonly routes: readonly HttpRoute[]
      /** Before a request says whom it is for. Absent: those of the configuration. */
      readonly limits?: PortLimits
    }
  // its socket is closed: connections end with their exchanges, idle ones now
  | { readonly type: 'close-port'; readonly port: PortId }
  // `/.well-known/acme-challenge/TOKEN` answers this (RFC 8555, 8.3); absent: no more
  | { readonly type: 'challenge'; readonly token: string; readonly answer?: string }

export type ClientEvent =
  // an HTTP/1.1 client was let in; nothing is read from it until `read`
  | {
      readonly type: 'accepted'
      readonly client: ClientId
      readonly port: PortId
      /** As the kernel or a trusted PROXY header tells. */
      readonly peers: Peers
      readonly tls?: TlsFacts
    }
  // a stream of an HTTP/2 connection, with its head
  | {
      readonly type: 'stream-opened'
      readonly client: ClientId
      readonly port: PortId
      readonly peers: Peers
      readonly tls?: TlsFacts
      readonly head: StreamHead
      /** Neither body nor trailers follow. */
      readonly isLast: boolean
    }
  // bytes in their order: of an HTTP/1.1 connection, or of the body of a stream. Borrowed until the
  // commands of this step were run
  | { readonly type: 'client-data'; readonly client: ClientId; readonly bytes: Uint8Array }
  // of a stream, after its body: name, value, name, value... Ends it
  | {
      readonly type: 'client-trailers'
      readonly client: ClientId
      readonly fields: readonly string[]
    }
  // it sends no more; all it sent was delivered as data before
  | { readonly type: 'client-ended'; readonly client: ClientId }
  // it is gone: reset, or broken in another way
  | { readonly type: 'client-broken'; readonly client: ClientId }
  // what was written to it waits in memory: the kernel takes no more for now
  | { readonly type: 'client-blocked'; readonly client: ClientId }
  // follows blocked: nothing waits any more
  | { readonly type: 'client-writable'; readonly client: ClientId }
  // answers `end-client`, and whatever else ends a stream: all that was written was taken, and the end
  | { readonly type: 'client-finished'; readonly client: ClientId }

export type UpstreamEvent =
  // answers `connect`
  | {
      readonly type: 'upstream-connected'
      readonly upstream: UpstreamId
      /** Of h2c: the session was there before, and the backend may be about to leave it. */
      readonly isReused?: boolean
    }
  // answers `connect`; of HTTP/2 also: the backend says that it did not look at this stream
  | {
      readonly type: 'upstream-failed'
      readonly upstream: UpstreamId
      /** `host`: this machine lacks something (descriptors, ports), whatever the backend. */
      readonly blame: 'backend' | 'host'
      /** For people: `connection refused`. */
      readonly reason: string
    }
  // the head of an answer on HTTP/2, also an interim one (1xx)
  | {
      readonly type: 'upstream-head'
      readonly upstream: UpstreamId
      readonly status: number
      readonly fields: readonly string[]
      readonly isLast: boolean
    }
  | { readonly type: 'upstream-data'; readonly upstream: UpstreamId; readonly bytes: Uint8Array }
  // of HTTP/2; ends the answer
  | {
      readonly type: 'upstream-trailers'
      readonly upstream: UpstreamId
      readonly fields: readonly string[]
    }
  | { readonly type: 'upstream-ended'; readonly upstream: UpstreamId }
  | { readonly type: 'upstream-broken'; readonly upstream: UpstreamId }
  | { readonly type: 'upstream-blocked'; readonly upstream: UpstreamId }
  | { readonly type: 'upstream-writable'; readonly upstream: UpstreamId }
  // answers `end-upstream`: the kernel has all that was written, and its end
  | { readonly type: 'upstream-finished'; readonly upstream: UpstreamId }

/** The head of a request on HTTP/2 (RFC 9113, 8.3.1; RFC 8441), checked by nobody yet. */
export interface StreamHead {
  readonly method: string
  readonly scheme: string
  readonly authority: string
  /** With its query. Empty of a CONNECT without `protocol`. */
  readonly path: string
  /** Of an extended CONNECT: `websocket`. */
  readonly protocol?: string
  /** name, value, name, value...; as they came, without pseudo-headers. */
  readonly fields: readonly string[]
}

export type WhenEmpty = 'refuse' | 'hold'
