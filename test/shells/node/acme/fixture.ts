/** ACME at work on a directory of certificates, with a server and somebody who answers challenges. */
import fs from 'node:fs'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { Effect, Exit, Scope } from 'effect'
import { onTestFinished, vi } from 'vitest'
import type { AcmeSettings } from '../../../../core/spec/node/settings.ts'
import { type Acme, type AcmeOptions, makeAcme } from '../../../../shells/node/acme/acme.ts'
import { PairFiles } from '../../../../shells/node/acme/pair-files.ts'
import { type Certificates, makeCertificates } from '../../../../shells/node/tls/certificates.ts'
import { temporaryDirectory } from '../temporary-directory.ts'
import { AcmeServer } from './server.ts'

export interface Running {
  readonly acme: Acme
  readonly certificates: Certificates
  readonly said: string[]
  readonly stop: () => Promise<void>
}

/** Until the test ends. */
export async function serverFor(answers: Answers): Promise<AcmeServer> {
  const server = await new AcmeServer(answers.port).listen()
  onTestFinished(() => server.close())
  return server
}

export interface Answers {
  readonly port: number
  /** By token. */
  readonly texts: Map<string, string>
}

/** Stands for the node's port 80. */
export async function challenges(): Promise<Answers> {
  const texts = new Map<string, string>()
  const server = http.createServer((request, response) => {
    const text = texts.get(request.url?.split('/').at(-1) ?? '')
    response.writeHead(text === undefined ? 404 : 200).end(text)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  return { port: (server.address() as AddressInfo).port, texts }
}

export function settingsOf(server: AcmeServer, directory: string): AcmeSettings {
  const ca = path.join(temporaryDirectory(), 'ca.pem')
  fs.writeFileSync(ca, server.authority.certificate)
  fs.mkdirSync(directory, { recursive: true })
  const renewBeforeMs = 30 * 24 * 3_600_000
  return { directory: server.directory, email: 'a@b.test', hosts: 'auto', renewBeforeMs, ca }
}

/** A life of the node, as far as certificates are concerned. */
export async function run(
  settings: AcmeSettings,
  directory: string,
  answers: Answers,
  options: Partial<AcmeOptions> = {},
): Promise<Running> {
  const said: string[] = []
  const notice = (level: string, text: string): void => void said.push(`${level} ${text}`)
  const scope = Scope.makeUnsafe()
  const provided = <A, E>(effect: Effect.Effect<A, E, Scope.Scope>): Promise<A> =>
    Effect.runPromise(Scope.provide(effect, scope))
  await new PairFiles(directory).finish(notice)
  const timing = { gatherMs: 5, pollMs: 3_600_000, settleMs: 30 }
  const certificates = await provided(makeCertificates({ directory, notice, timing }))
  const acme = await provided(
    makeAcme({
      settings,
      directory,
      certificates,
      notice,
      pollMs: 10,
      challenge: (token, answer) => {
        if (answer === undefined) answers.texts.delete(token)
        else answers.texts.set(token, answer)
      },
      ...options,
    }),
  )
  let stopping: Promise<void> | undefined
  const stop = (): Promise<void> => {
    stopping ??= Effect.runPromise(Scope.close(scope, Exit.void))
    return stopping
  }
  onTestFinished(stop)
  return { acme, certificates, said, stop }
}

export const waitFor = <A>(check: () => A | Promise<A>): Promise<A> =>
  vi.waitFor(check, { timeout: 30_000, interval: 5 })

export const namesOf = ({ certificates }: Running): string[] =>
  certificates.names().map(({ name }) => name)

export const acmeSaid = ({ said }: Running): string[] =>
  said.filter((text) => text.includes(' acme: '))
