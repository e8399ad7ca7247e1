/** TLS with a client: the server's side of a handshake on a TCP socket that was read a little. */
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { Certificates, ServerOptions } from '../../tls/certificates.ts'
import { tlsReasonOf } from '../stream/backend-tls.ts'
import { carriedBy } from '../stream/release-socket.ts'

/** What a node with certificates has of them here. */
export type Shown = Pick<Certificates, 'contextFor' | 'serverOptions'>

export type ClientOptions = ShownOptions & {
  /** Offered by ALPN, the best first; none: it is not spoken of. */
  readonly protocols: readonly string[]
}

export type ShownOptions = (ServerOptions | Pick<ServerOptions, 'secureContext'>) & {
  /** Says why it failed, where more is known than OpenSSL tells. */
  readonly explain?: (reason: string) => string
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
  { protocols, explain = (reason) => reason, ...options }: ClientOptions,
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
    else end.failed(explain(reason))
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
): ShownOptions | undefined {
  if (serverName !== undefined) {
    const secureContext = certificates.contextFor(serverName)
    if (secureContext === undefined) tcp.write(UNRECOGNIZED_NAME)
    return secureContext && { secureContext }
  }
  let isNamed = false
  return {
    ...certificates.serverOptions(),
    SNICallback: (name, answer) => {
      isNamed = true
      const context = certificates.contextFor(name)
      if (context !== undefined) return answer(null, context)
      tcp.write(UNRECOGNIZED_NAME) // nothing of TLS was written yet
      answer(new Error(noCertificateFor(name)))
    },
    explain: (reason) => {
      const isBare = !isNamed && certificates.contextFor(undefined) === undefined
      return isBare && WITHOUT_CERTIFICATE.test(reason) ? NO_DEFAULT : reason
    },
  }
}

export const CLIENT_LEFT = 'the client left during the handshake'
/** A client may ask for what it likes; what people read is a name, or that it is none. */
export const noCertificateFor = (serverName: string): string =>
  `no certificate for ${HOST_NAME.test(serverName) ? serverName : 'what is no host name'}`

/** What OpenSSL says of having none, in TLS 1.3 and before. */
const WITHOUT_CERTIFICATE = /no suitable signature algorithm|no shared cipher/
const NO_DEFAULT =
  'TLS: no certificate for clients that name no server; add default.crt and default.key'

const HOST_NAME = /^[A-Za-z0-9._-]{1,253}$/

/** A fatal alert in the clear (RFC 6066, 3): OpenSSL would say handshake_failure. */
const UNRECOGNIZED_NAME = Uint8Array.of(21, 3, 3, 0, 2, 2, 112)
