/** A directory of certificates that is in use, and TLS servers that show what is in it. */
import net from 'node:net'
import tls from 'node:tls'
import { Effect, Exit, Scope } from 'effect'
import { onTestFinished, vi } from 'vitest'
import {
  type Certificates,
  type CertificatesOptions,
  type CertificatesTiming,
  makeCertificates,
} from '../../../../shells/node/tls/certificates.ts'
import { temporaryDirectory } from '../temporary-directory.ts'
import { fixture, place } from './fixtures.ts'

export interface Opened {
  readonly certificates: Certificates
  /** `level text`, without what all begin with. */
  readonly said: string[]
}

/** Gone with the test. */
export async function open(
  directory: string,
  timing: Partial<CertificatesTiming> = {},
  options: Pick<CertificatesOptions, 'now'> = {},
): Promise<Opened> {
  const said: string[] = []
  const scope = Scope.makeUnsafe()
  const making = makeCertificates({
    directory,
    notice: (level, text) => said.push(`${level} ${text.replace(/^certificates: /, '')}`),
    timing: { ...WATCHED, ...timing },
    ...options,
  })
  onTestFinished(() => Effect.runPromise(Scope.close(scope, Exit.void)))
  return { certificates: await Effect.runPromise(Scope.provide(making, scope)), said }
}

/** What is seen is seen by watching. */
const WATCHED: CertificatesTiming = { gatherMs: 5, pollMs: 3_600_000, settleMs: 30 }

export function placed(pairs: Readonly<Record<string, string>>): string {
  const directory = temporaryDirectory()
  place(directory, pairs)
  return directory
}

/** A server that knows no name in advance, as an entrance with a lone route. */
export async function serve(certificates: Certificates): Promise<number> {
  const server = net.createServer((raw) => {
    raw.on('error', () => {})
    const options = certificates.serverOptions()
    const secure = new tls.TLSSocket(raw, { isServer: true, ...options })
    secure.on('error', () => {})
    secure.end('hello')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  return (server.address() as net.AddressInfo).port
}

interface Shown {
  readonly subject: string
  readonly fingerprint: string
  readonly isReused: boolean
  readonly session: Buffer | undefined
}

export async function shake(port: number, options: tls.ConnectionOptions): Promise<Shown> {
  const client = tls.connect({ host: '127.0.0.1', port, ca: fixture('ca.crt'), ...options })
  onTestFinished(() => void client.destroy())
  let session: Buffer | undefined
  client.on('session', (ticket) => {
    session = ticket
  })
  client.resume()
  let shown: Omit<Shown, 'session'> | undefined
  client.on('secureConnect', () => {
    const certificate = client.getPeerX509Certificate()
    shown = {
      subject: certificate?.subject ?? '',
      fingerprint: certificate?.fingerprint256 ?? '',
      isReused: client.isSessionReused(),
    }
  })
  await new Promise<void>((resolve) => client.on('error', () => {}).on('close', resolve))
  if (shown === undefined) throw new Error('no handshake')
  return { ...shown, session }
}

export const waitFor = <A>(check: () => A | Promise<A>): Promise<A> =>
  vi.waitFor(check, { timeout: 20_000, interval: 5 })

export const names = ({ certificates }: Opened): string[] =>
  certificates.names().map(({ name }) => name)

export const fingerprintOf = ({ certificates }: Opened, name: string): string | undefined =>
  certificates.names().find((each) => each.name === name)?.fingerprint
