/** TLS towards backends: what a `stream` block with `tls: reoriginate` asks for. */
import { readFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import tls from 'node:tls'
import type { StreamSpec } from '../../../../core/spec/deployment.ts'
import { messageOf } from '../../journal/format.ts'
import { reasonOf } from '../../socket-errors.ts'
import { carriedBy } from './release-socket.ts'

/** Settings to connect with, made when a listener is configured. */
export type BackendTls =
  | { readonly ok: true; readonly options: tls.ConnectionOptions }
  // for people, with the file
  | { readonly ok: false; readonly problem: string }

/** Undefined where backends are spoken to in plain. Reads the file there may be. */
export function backendTlsOf({
  tls: mode,
  backendCa,
  backendName,
}: Pick<StreamSpec, 'tls' | 'backendCa' | 'backendName'>): BackendTls | undefined {
  if (mode !== 'reoriginate') return undefined
  try {
    const ca = backendCa === undefined ? undefined : authoritiesIn(backendCa)
    const secureContext = tls.createSecureContext({
      minVersion: 'TLSv1.2', // RFC 8996
      ...(ca === undefined ? {} : { ca }),
    })
    return {
      ok: true,
      options: {
        secureContext,
        // Without authorities to trust any certificate is good: the replica is a program we started.
        rejectUnauthorized: ca !== undefined,
        ...(backendName === undefined
          ? { checkServerIdentity: () => undefined } // there is no name to compare with
          : { servername: backendName }),
      },
    }
  } catch (error) {
    return { ok: false, problem: `backend_ca ${backendCa}: ${wordsOf(error)}` }
  }
}

/** A handshake as the client; `secureConnect` or `error` follows. Takes the socket over. */
export function secureUpstream(
  tcp: Socket,
  options: tls.ConnectionOptions,
  preface: Uint8Array | undefined,
): tls.TLSSocket {
  if (preface !== undefined) tcp.write(preface)
  const upstream = tls.connect({ ...options, socket: tcp })
  carriedBy(upstream, tcp)
  return upstream
}

/** Why a handshake failed, in words. */
export const tlsReasonOf = (error: unknown): string => `TLS: ${wordsOf(error)}`

/** What a file of authorities holds; OpenSSL ignores a text without any, and would trust nobody. */
function authoritiesIn(path: string): string {
  const text = readFileSync(path, 'utf8')
  if (!text.includes('-----BEGIN CERTIFICATE-----'))
    throw new Error('holds no certificate in PEM form')
  return text
}

/** Without a place in OpenSSL's sources, and without advice on how to run Node. */
function wordsOf(error: unknown): string {
  const { code, reason } = error as { code?: unknown; reason?: unknown }
  if (typeof reason === 'string') return reason
  const isSystem = typeof code === 'string' && /^E[A-Z0-9]+$/.test(code)
  return isSystem ? reasonOf(error) : messageOf(error).split('; if ', 1)[0]!
}
