import fs from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import tls from 'node:tls'
import { Effect, Exit, Scope } from 'effect'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import {
  type Certificates,
  type CertificatesTiming,
  makeCertificates,
} from '../../../../shells/node/tls/certificates.ts'
import { temporaryDirectory } from '../temporary-directory.ts'
import { fixture, place } from './fixtures.ts'

interface Opened {
  readonly certificates: Certificates
  /** `level text`, without what all begin with. */
  readonly said: string[]
}

async function open(directory: string, timing: Partial<CertificatesTiming> = {}): Promise<Opened> {
  const said: string[] = []
  const scope = Scope.makeUnsafe()
  const making = makeCertificates({
    directory,
    notice: (level, text) => said.push(`${level} ${text.replace(/^certificates: /, '')}`),
    timing: { ...WATCHED, ...timing },
  })
  onTestFinished(() => Effect.runPromise(Scope.close(scope, Exit.void)))
  return { certificates: await Effect.runPromise(Scope.provide(making, scope)), said }
}

/** What is seen is seen by watching. */
const WATCHED: CertificatesTiming = { gatherMs: 5, pollMs: 3_600_000, settleMs: 30 }

function placed(pairs: Readonly<Record<string, string>>): string {
  const directory = temporaryDirectory()
  place(directory, pairs)
  return directory
}

/** A server that knows no name in advance, as an entrance with a lone route. */
async function serve(certificates: Certificates): Promise<number> {
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

async function shake(port: number, options: tls.ConnectionOptions): Promise<Shown> {
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

const waitFor = <A>(check: () => A | Promise<A>): Promise<A> =>
  vi.waitFor(check, { timeout: 20_000, interval: 5 })

const names = ({ certificates }: Opened): string[] => certificates.names().map(({ name }) => name)

const fingerprintOf = ({ certificates }: Opened, name: string): string | undefined =>
  certificates.names().find((each) => each.name === name)?.fingerprint

describe('the choice by server name', () => {
  test.each<[asked: string | undefined, name: string | undefined]>([
    ['a.example', 'a.example'],
    ['A.EXAMPLE', 'a.example'],
    [' a.example ', 'a.example'],
    ['a.example.', 'a.example'],
    ['b.wild.example', '*.wild.example'],
    ['B.Wild.Example', '*.wild.example'],
    ['exact.wild.example', 'exact.wild.example'],
    ['c.b.wild.example', undefined], // one label only
    ['wild.example', undefined], // the wildcard's base is not covered
    ['example', undefined],
    ['b.a.example', undefined],
    ['', undefined],
    ['.', undefined],
    [undefined, undefined],
    ['default', undefined],
  ])('%s: %s', async (asked, name) => {
    const pairs = { 'a.example': 'a.example', '_.wild.example': '_.wild.example' }
    const exact = { 'exact.wild.example': '_.wild.example' }
    const { certificates } = await open(placed({ ...pairs, ...exact }))
    const expected = name === undefined ? undefined : certificates.contextFor(name)
    expect(certificates.contextFor(asked)).toBe(expected)
    if (name !== undefined) expect(expected).toBeDefined()
  })

  test('whoever no other certificate is for gets the default: also who asks for nothing', async () => {
    const { certificates, said } = await open(
      placed({ default: 'default', 'a.example': 'a.example' }),
    )
    const fallback = certificates.contextFor('default')
    expect(fallback).toBeDefined()
    expect(certificates.contextFor('b.example')).toBe(fallback)
    expect(certificates.contextFor(undefined)).toBe(fallback)
    expect(certificates.contextFor('a.example')).not.toBe(fallback)
    expect(said).toEqual([])
  })

  test("a wildcard of one label beside `*` is nobody's: only names of three labels have one", async () => {
    const opened = await open(placed({ '_.example': 'a.example' }))
    expect(names(opened)).toEqual([])
    expect(opened.said).toContain(
      'warn _.example.crt is not used: "_.example" is no name that a client can ask for',
    )
  })
})

describe('the files', () => {
  test('names in any case, wildcards with `_` or `*`, keys of all three forms', async () => {
    const directory = placed({ 'A.Example': 'a.example', default: 'default' })
    fs.writeFileSync(path.join(directory, '*.wild.example.crt'), fixture('_.wild.example.crt'))
    fs.writeFileSync(path.join(directory, '_.wild.example.key'), fixture('_.wild.example.key'))
    fs.writeFileSync(path.join(directory, 'README'), 'not looked at')
    fs.writeFileSync(path.join(directory, '.b.example.crt'), 'a scratch file')
    const opened = await open(directory)
    expect(opened.said).toEqual([])
    expect(opened.certificates.names()).toEqual([
      expect.objectContaining({ name: '*.wild.example' }),
      {
        name: 'a.example',
        validFrom: new Date('2020-01-01'),
        validTo: new Date('2120-01-01'),
        fingerprint: expect.stringMatching(/^([0-9A-F]{2}:){31}[0-9A-F]{2}$/),
      },
      expect.objectContaining({ name: 'default' }),
    ])
    const headings = ['a.example', '_.wild.example', 'default'].map(
      (name) => fixture(`${name}.key`).split('\n')[0],
    )
    expect(headings).toEqual([
      '-----BEGIN EC PRIVATE KEY-----',
      '-----BEGIN PRIVATE KEY-----',
      '-----BEGIN RSA PRIVATE KEY-----',
    ])
  })

  const certificate = fixture('a.example.crt')
  const key = fixture('a.example.key')
  const chain = fixture('chain.example.crt')
  test.each<[what: string, crt: string | undefined, key: string | undefined, said: string]>([
    [
      'proxy W41: the key of another',
      certificate,
      fixture('a.example.new.key'),
      'a.key is not the key of a.crt',
    ],
    [
      'proxy W41: a key of another kind',
      certificate,
      fixture('default.key'),
      'a.key is not the key of a.crt',
    ],
    ['garbage for a certificate', 'garbage', key, 'a.crt holds no certificate in PEM form'],
    ['garbage for a key', certificate, 'garbage', 'a.key holds no private key in PEM form'],
    ['an empty certificate', '', key, 'a.crt holds no certificate in PEM form'],
    [
      'the two in the place of each other',
      key,
      certificate,
      'a.crt holds no certificate in PEM form',
    ],
    [
      'half a certificate',
      certificate.slice(0, 300),
      key,
      'a.crt holds a certificate that cannot be read: ',
    ],
    [
      'half a chain',
      chain.slice(0, -300),
      fixture('chain.example.key'),
      'a.crt holds a certificate number 2 that cannot be read: ',
    ],
    [
      'a certificate of other bytes',
      certificate.replace(/MII/, 'AAA'),
      key,
      'a.crt holds a certificate that cannot be read: ',
    ],
    [
      'half a key',
      certificate,
      key.slice(0, 100),
      'a.key holds a private key that cannot be read: ',
    ],
    [
      'a key with a passphrase',
      fixture('old.example.crt'),
      fixture('encrypted.key'),
      'a.key needs a passphrase; a key without one is needed',
    ],
    [
      'a chain in the wrong order',
      fixture('ca.crt') + certificate,
      key,
      'the certificate that a.key belongs to has to be the first in a.crt, and is number 2',
    ],
    ['no key', certificate, undefined, 'a.crt has no key'],
    ['no certificate', undefined, key, 'a.key has no certificate'],
    [
      'too large',
      `${certificate}${' '.repeat(2 ** 20)}`,
      key,
      'a.crt is larger than 1048576 bytes',
    ],
  ])('%s: said, and nobody gets it', async (_, crtText, keyText, said) => {
    const directory = placed({ default: 'default' })
    if (crtText !== undefined) fs.writeFileSync(path.join(directory, 'a.crt'), crtText)
    if (keyText !== undefined) fs.writeFileSync(path.join(directory, 'a.key'), keyText)
    const opened = await open(directory)
    expect(names(opened)).toEqual(['default'])
    expect(opened.said).toEqual([expect.stringContaining(`warn a: ${said}`)])
  })

  test('what cannot be read is said by name', async () => {
    const directory = placed({ 'a.example': 'a.example' })
    fs.mkdirSync(path.join(directory, 'b.example.crt'))
    fs.symlinkSync('nowhere', path.join(directory, 'c.example.key'))
    const opened = await open(directory)
    expect(names(opened)).toEqual(['a.example'])
    expect(opened.said).toEqual([
      'warn b.example: b.example.crt cannot be read: it is a directory',
      'warn c.example: c.example.key cannot be read: it is not there',
    ])
  })

  test('of two files for one thing the first counts, and the other is said', async () => {
    const directory = placed({ 'a.example': 'a.example', 'A.EXAMPLE': 'a.example.new' })
    const opened = await open(directory)
    expect(opened.said).toEqual([
      'warn a.example.crt is not used: A.EXAMPLE.crt is for a.example already',
      'warn a.example.key is not used: A.EXAMPLE.key is for a.example already',
    ])
    expect(names(opened)).toEqual(['a.example'])
  })

  test('what a client would not take is in use, and said', async () => {
    const opened = await open(
      placed({
        'b.example': 'a.example',
        '_.other.example': '_.wild.example',
        'old.example': 'old.example',
        'early.example': 'early.example',
      }),
    )
    expect(opened.said.toSorted()).toEqual([
      'warn *.other.example: the certificate is not for this name: DNS:*.wild.example',
      'warn b.example: the certificate is not for this name: DNS:a.example',
      'warn early.example: valid from 2119-01-01 on, and in use all the same',
      'warn old.example: expired on 2021-01-01, and in use all the same',
    ])
    expect(names(opened)).toHaveLength(4)
  })

  test('an empty directory is said, and may be filled later', async () => {
    const directory = temporaryDirectory()
    const opened = await open(directory)
    expect(opened.said).toEqual([`warn ${directory} holds none`])
    place(directory, { 'a.example': 'a.example' })
    await waitFor(() => expect(names(opened)).toEqual(['a.example']))
  })

  test.each([
    ['missing', 'none', 'it is not there'],
    ['a file', 'file', 'it is not a directory'],
  ])('a directory that is %s is a start error naming it', async (_, name, reason) => {
    const directory = temporaryDirectory()
    fs.writeFileSync(path.join(directory, 'file'), '')
    const at = path.join(directory, name)
    const exit = await Effect.runPromise(
      Effect.flip(Effect.scoped(makeCertificates({ directory: at, notice: () => {} }))),
    )
    expect(exit).toMatchObject({ _tag: 'CertificatesUnusable', path: at, reason })
    expect(exit.message).toBe(`the certificates in ${at} cannot be used: ${reason}`)
  })
})

describe('a directory that changes', () => {
  const NEW_LINE = 'info a.example: in use, until 2120-01-01'

  async function openOne(timing: Partial<CertificatesTiming> = {}) {
    const directory = placed({ 'a.example': 'a.example' })
    const opened = await open(directory, timing)
    const before = fingerprintOf(opened, 'a.example')
    const file = (name: string) => path.join(directory, name)
    return { directory, opened, before, file }
  }

  const swapped = (opened: Opened, before: string | undefined): Promise<void> =>
    waitFor(() => {
      const now = fingerprintOf(opened, 'a.example')
      expect(now).toBeDefined()
      expect(now).not.toBe(before)
    })

  test('proxy W41: a pair written over is in use at once, without a restart', async () => {
    const { directory, opened, before } = await openOne({ settleMs: 60_000 })
    const port = await serve(opened.certificates)
    expect((await shake(port, { servername: 'a.example' })).fingerprint).toBe(before)
    place(directory, { 'a.example': 'a.example.new' })
    await swapped(opened, before)
    const shown = await shake(port, { servername: 'a.example' })
    expect(shown.fingerprint).toBe(fingerprintOf(opened, 'a.example'))
    expect(shown.subject).toBe('CN=a.example.new')
    expect(opened.said).toEqual([NEW_LINE])
  })

  test('a swap in two steps is not said to be wrong half-way', async () => {
    const { opened, before, file } = await openOne({ settleMs: 60_000 })
    fs.writeFileSync(file('a.example.key'), fixture('a.example.new.key'))
    fs.writeFileSync(file('b.example.crt'), fixture('a.example.crt')) // seen together with the key
    fs.writeFileSync(file('b.example.key'), fixture('a.example.key'))
    await waitFor(() => expect(names(opened)).toEqual(['a.example', 'b.example']))
    expect(fingerprintOf(opened, 'a.example')).toBe(before)
    fs.writeFileSync(file('a.example.crt'), fixture('a.example.new.crt'))
    await swapped(opened, before)
    expect(opened.said.filter((text) => text.includes('a.example: '))).toContain(NEW_LINE)
    expect(opened.said.join('\n')).not.toContain('is not the key')
  })

  test('proxy W41: the old pair stays while the new one does not fit, and is said once', async () => {
    const { opened, before, file } = await openOne()
    const port = await serve(opened.certificates)
    fs.writeFileSync(file('a.example.crt'), fixture('a.example.new.crt'))
    const wrong =
      'warn a.example: a.example.key is not the key of a.example.crt; the one before stays in use'
    await waitFor(() => expect(opened.said).toEqual([wrong]))
    expect((await shake(port, { servername: 'a.example' })).fingerprint).toBe(before)
    fs.writeFileSync(file('b.example.txt'), 'another look')
    fs.rmSync(file('a.example.key'))
    await waitFor(() =>
      expect(opened.said).toEqual([
        wrong,
        'warn a.example: a.example.crt has no key; the one before stays in use',
      ]),
    )
    expect((await shake(port, { servername: 'a.example' })).fingerprint).toBe(before)
    fs.writeFileSync(file('a.example.key'), fixture('a.example.new.key'))
    await swapped(opened, before)
    expect(opened.said.at(-1)).toBe(NEW_LINE)
  })

  test('files moved into their place', async () => {
    const { directory, opened, before, file } = await openOne()
    const aside = placed({ 'a.example': 'a.example.new' })
    for (const name of ['a.example.crt', 'a.example.key']) {
      fs.copyFileSync(path.join(aside, name), path.join(directory, `.${name}.tmp`))
      fs.renameSync(file(`.${name}.tmp`), file(name))
    }
    await swapped(opened, before)
  })

  test('a pair that vanishes is dropped, and another takes its place', async () => {
    const directory = placed({ 'a.example': 'a.example', default: 'default' })
    const opened = await open(directory)
    const { certificates } = opened
    fs.rmSync(path.join(directory, 'a.example.crt'))
    fs.rmSync(path.join(directory, 'a.example.key'))
    await waitFor(() => expect(names(opened)).toEqual(['default']))
    expect(opened.said).toEqual(['warn a.example: gone, and in use no more'])
    expect(certificates.contextFor('a.example')).toBe(certificates.contextFor('default'))
    place(directory, { 'a.example': 'a.example' })
    await waitFor(() => expect(names(opened)).toEqual(['a.example', 'default']))
  })

  test('a pair that is back a moment later was never away', async () => {
    const { directory, opened, before, file } = await openOne({ settleMs: 60_000 })
    for (const name of ['a.example.crt', 'a.example.key']) fs.rmSync(file(name))
    fs.writeFileSync(file('b.example.crt'), fixture('a.example.crt'))
    fs.writeFileSync(file('b.example.key'), fixture('a.example.key'))
    await waitFor(() => expect(names(opened)).toEqual(['a.example', 'b.example']))
    expect(fingerprintOf(opened, 'a.example')).toBe(before)
    place(directory, { 'a.example': 'a.example.new' })
    await swapped(opened, before)
    expect(opened.said.join('\n')).not.toContain('gone')
  })

  test('links to a directory that another takes the place of, as Kubernetes does it', async () => {
    const directory = temporaryDirectory()
    const at = (name: string) => path.join(directory, name)
    fs.mkdirSync(at('..1'))
    place(at('..1'), { 'a.example': 'a.example' })
    fs.symlinkSync('..1', at('..data'))
    for (const ending of ['crt', 'key']) {
      fs.symlinkSync(`..data/a.example.${ending}`, at(`a.example.${ending}`))
    }
    const opened = await open(directory)
    const before = fingerprintOf(opened, 'a.example')
    expect(before).toBeDefined()
    fs.mkdirSync(at('..2'))
    place(at('..2'), { 'a.example': 'a.example.new' })
    fs.symlinkSync('..2', at('..data_tmp'))
    fs.renameSync(at('..data_tmp'), at('..data'))
    fs.rmSync(at('..1'), { recursive: true })
    await swapped(opened, before)
  })

  test('links to elsewhere, and another directory of this name: seen by looking now and then', async () => {
    const elsewhere = placed({ 'a.example': 'a.example' })
    const directory = path.join(temporaryDirectory(), 'certificates')
    fs.symlinkSync(elsewhere, directory)
    const opened = await open(directory, { pollMs: 10 })
    const before = fingerprintOf(opened, 'a.example')
    const other = placed({ 'a.example': 'a.example.new' })
    fs.rmSync(directory)
    fs.symlinkSync(other, directory)
    await swapped(opened, before)
  })

  test('a directory that goes away leaves what is in use, and is said once', async () => {
    const { directory, opened, before } = await openOne({ pollMs: 10 })
    const away = `${directory}.away`
    fs.renameSync(directory, away)
    onTestFinished(() => fs.rmSync(away, { recursive: true, force: true }))
    const text = `warn ${directory} cannot be read: it is not there; what is in use stays so`
    await waitFor(() => expect(opened.said).toEqual([text]))
    await new Promise((resolve) => setTimeout(resolve, 100)) // some more looks
    expect(opened.said).toEqual([text])
    expect(fingerprintOf(opened, 'a.example')).toBe(before)
    fs.mkdirSync(directory)
    place(directory, { 'a.example': 'a.example.new' })
    await swapped(opened, before)
    expect(opened.said.filter((each) => each === text)).toHaveLength(1)
  })
})

describe('a handshake', () => {
  const PAIRS = {
    'a.example': 'a.example',
    '_.wild.example': '_.wild.example',
    'chain.example': 'chain.example',
  }

  test.each<[asked: string, subject: string]>([
    ['a.example', 'CN=a.example'],
    ['b.wild.example', 'CN=_.wild.example'],
    ['chain.example', 'CN=chain.example'], // the chain is sent: the client knows the root alone
  ])('%s is shown %s, which it accepts', async (servername, subject) => {
    const { certificates } = await open(placed(PAIRS))
    expect(await shake(await serve(certificates), { servername })).toMatchObject({ subject })
  })

  test('who asks for no name is shown the default; without one there is no handshake', async () => {
    const without = await open(placed(PAIRS))
    const nameless = { servername: '', checkServerIdentity: () => undefined }
    await expect(shake(await serve(without.certificates), nameless)).rejects.toThrow()
    const unknown = { servername: 'b.example' }
    await expect(shake(await serve(without.certificates), unknown)).rejects.toThrow()
    const withDefault = await open(placed({ ...PAIRS, default: 'default' }))
    expect(await shake(await serve(withDefault.certificates), nameless)).toMatchObject({
      subject: 'CN=default',
    })
  })

  test.each([
    ['TLSv1', false],
    ['TLSv1.1', false],
    ['TLSv1.2', true],
    ['TLSv1.3', true],
  ] as const)('%s: %s', async (version, isTaken) => {
    const { certificates } = await open(placed(PAIRS))
    const port = await serve(certificates)
    const shaken = shake(port, {
      servername: 'a.example',
      minVersion: version,
      maxVersion: version,
      ciphers: 'DEFAULT@SECLEVEL=0', // the client would not offer the old ones otherwise
    })
    if (isTaken) expect(await shaken).toMatchObject({ subject: 'CN=a.example' })
    else await expect(shaken).rejects.toThrow()
  })

  test.each(['TLSv1.2', 'TLSv1.3'] as const)(
    '%s: a session is resumed, whatever was swapped since, also where the name is known before',
    async (maxVersion) => {
      const directory = placed(PAIRS)
      const opened = await open(directory)
      const { certificates } = opened
      const port = await serve(certificates)
      const options = { servername: 'a.example', maxVersion }
      const first = await shake(port, options)
      expect(first).toMatchObject({ isReused: false, session: expect.anything() })
      const before = fingerprintOf(opened, 'a.example')
      place(directory, { 'a.example': 'a.example.new', default: 'default' })
      await waitFor(() => {
        expect(fingerprintOf(opened, 'a.example')).not.toBe(before)
        expect(names(opened)).toContain('default')
      })
      const again = await shake(port, { ...options, session: first.session! })
      expect(again.isReused).toBe(true)
      const known = await serve({
        ...certificates,
        serverOptions: () => ({
          secureContext: certificates.contextFor('a.example')!,
          SNICallback: (_name, answer) => answer(null),
        }),
      })
      expect((await shake(known, { ...options, session: first.session! })).isReused).toBe(true)
    },
  )
})
