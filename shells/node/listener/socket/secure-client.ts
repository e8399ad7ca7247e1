/** TLS with a client: the server's side of a handshake on a TCP socket that was read a little. */
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { Certificates, ServerOptions } from '../../tls/certificates.ts'
import { tlsReasonOf } from '../stream/backend-tls.ts'
import { carriedBy } from '../stream/release-socket.ts'

/** What a node with certificates has of them here. */
export type Shown = Pick<Certificates, 'contextFor' | 'serverOptions'>

export type ClientOptions = (ServerOptions | Pick<ServerOptions, 'secureContext'>) & {
  /** Offered by ALPN, the best first; none: it is not spoken of. */
  readonly protocols: readonly string[]
}

/** Exactly one of them is called, later. */
export interface HandshakeEnd {
  readonly done: () => void
  /** For people. */
  readonly failed: (reason: string) => void
}

/**
 * Takes a socket over that is paused and has no listeners; `bytes` were read from it and come first.
 * When the handshake is done, an `error` of what is returned is one of the connection, as everywhere.
 */
export function secureClient(
  tcp: Socket,
  bytes: Uint8Array,
  { protocols, ...options }: ClientOptions,
  end: HandshakeEnd,
): TLSSocket {
  if (bytes.byteLength > 0) tcp.unshift(bytes)
  const alpn = protocols.length === 0 ? {} : { ALPNProtocols: [...protocols] }
  const secure = new TLSSocket(tcp, { ...options, ...alpn, isServer: true })
  carriedBy(secure, tcp)
  let isOver = false
  const settle = (reason?: string): void => {
    if (isOver) return
    isOver = true
    if (reason === undefined) end.done()
    else end.failed(reason)
  }
  // This is how `tls.Server` does it. To be one we would have to find out which TCP socket its TLS
  // sockets belong to. Without it nobody takes control when the handshake is done, and what OpenSSL
  // complains of later is told by `_tlsError` alone.
  secure.on('_tlsError', (error: Error) => {
    if (isOver && !secure.destroyed) secure.destroy(error)
    else settle(tlsReasonOf(error))
  })
  secure.once('secure', () => {
    Object.assign(secure, { secureConnecting: false }) // or HTTP/2 waits for it
    settle()
  })
  // Of a half-open socket its end alone does not close it.
  for (const gone of ['end', 'close']) secure.once(gone, () => settle(CLIENT_LEFT))
  return secure
}

/**
 * How to show the certificate for a client's name; `serverName` is undefined where nobody looked at
 * what it asks for. Undefined: there is none, and the client was told.
 */
export function shownTo(
  tcp: Socket,
  serverName: string | undefined,
  certificates: Shown,
): ServerOptions | Pick<ServerOptions, 'secureContext'> | undefined {
  if (serverName !== undefined) {
    const secureContext = certificates.contextFor(serverName)
    if (secureContext === undefined) tcp.write(UNRECOGNIZED_NAME)
    return secureContext && { secureContext }
  }
  return {
    ...certificates.serverOptions(),
    SNICallback: (name, answer) => {
      const context = certificates.contextFor(name)
      if (context !== undefined) return answer(null, context)
      tcp.write(UNRECOGNIZED_NAME) // nothing of TLS was written yet
      answer(new Error(noCertificateFor(name)))
    },
  }
}

export const CLIENT_LEFT = 'the client left during the handshake'
/** A client may ask for what it likes; what people read is a name, or that it is none. */
export const noCertificateFor = (serverName: string): string =>
  `no certificate for ${HOST_NAME.test(serverName) ? serverName : 'what is no host name'}`

const HOST_NAME = /^[A-Za-z0-9._-]{1,253}$/

/** A fatal alert in the clear (RFC 6066, 3): OpenSSL would say handshake_failure. */
const UNRECOGNIZED_NAME = Uint8Array.of(21, 3, 3, 0, 2, 2, 112)
