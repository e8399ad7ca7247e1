/** Whatever goes wrong: it is said with what to do about it, and what was in use stays in use. */
import fs from 'node:fs'
import path from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import type { AcmeSettings } from '../../../../core/spec/node/settings.ts'
import { temporaryDirectory } from '../temporary-directory.ts'
import { Authority } from './authority.ts'
import {
  acmeSaid,
  challenges,
  namesOf,
  type Running,
  run,
  serverFor,
  settingsOf,
  waitFor,
} from './fixture.ts'
import type { AcmeServer } from './server.ts'

vi.setConfig({ testTimeout: 60_000 })

const DAY = 86_400_000
const problem = (type: string, detail: string) => ({
  type: `urn:ietf:params:acme:error:${type}`,
  detail,
})

const URLS = { newAccount: 'https://127.0.0.1:1/', newOrder: 'https://127.0.0.1:1/' }

interface Setting {
  readonly server: AcmeServer
  readonly directory: string
  readonly settings: AcmeSettings
}

interface Row {
  readonly name: string
  readonly cause: string
  readonly says: readonly string[]
  readonly given: (setting: Setting) => unknown
}

const ROWS: readonly Row[] = [
  {
    name: 'too many requests: the name waits as long as the server says',
    cause: 'rate-limited',
    says: ['too much was asked', 'too many certificates already issued', 'in about 3 hours'],
    given: ({ server }) => {
      const body = problem('rateLimited', 'too many certificates already issued')
      server.faults.newOrder = [{ status: 429, headers: { 'retry-after': '10800' }, body }]
    },
  },
  {
    name: 'the same, until a date',
    cause: 'rate-limited',
    says: ['in about 5 hours'],
    given: ({ server }) => {
      const until = new Date(Date.now() + 5 * 3_600_000).toUTCString()
      const body = problem('rateLimited', 'wait')
      server.faults.newAccount = [{ status: 429, headers: { 'retry-after': until }, body }]
    },
  },
  {
    name: 'the same from something in front of the server, which speaks no ACME',
    cause: 'rate-limited',
    says: ['status 429'],
    given: ({ server }) => {
      server.faults.newOrder = [{ status: 429, body: '<html>slow down</html>' }]
    },
  },
  {
    name: 'a server that fails',
    cause: 'server',
    says: ['the server fails', 'out of order'],
    given: ({ server }) => {
      server.faults.newOrder = [{ status: 500, body: problem('serverInternal', 'out of order') }]
    },
  },
  {
    name: 'a server that is being mended',
    cause: 'server',
    says: ['status 503', 'in about 10 minutes'],
    given: ({ server }) => {
      server.faults.directory = [{ status: 503, headers: { 'retry-after': '600' }, body: '<html>' }]
    },
  },
  {
    name: 'no ACME at that URL',
    cause: 'server',
    says: ['the server fails'],
    given: ({ server }) => {
      server.faults.directory = [{ status: 200, body: '<html>hello</html>' }]
    },
  },
  {
    name: 'a directory that leads away from https',
    cause: 'server',
    says: ['http://127.0.0.1:1/x, which is not https'],
    given: ({ server }) => {
      const body = { ...URLS, newNonce: 'http://127.0.0.1:1/x' }
      server.faults.directory = [{ status: 200, body }]
    },
  },
  {
    name: 'an account without a URL',
    cause: 'server',
    says: ['it leads us round in circles'],
    given: ({ server }) => {
      server.faults.newAccount = Array.from({ length: 1_000 }, () => ({ status: 200 }))
    },
  },
  {
    name: 'a connection that is cut',
    cause: 'unreachable',
    says: ['the server cannot be reached: 127.0.0.1:'],
    given: ({ server }) => {
      server.faults.newNonce = ['drop', 'drop']
    },
  },
  {
    name: 'a server that is not there',
    cause: 'unreachable',
    says: ['ECONNREFUSED', 'look at acme.directory'],
    given: ({ server }) => server.close(),
  },
  {
    name: 'an answer without an end',
    cause: 'unreachable',
    says: ['its answer is too long'],
    given: ({ server }) => {
      server.faults.directory = [{ status: 200, body: 'x'.repeat(2 ** 21) }]
    },
  },
  {
    name: 'a server of another authority than the node file names',
    cause: 'untrusted',
    says: ["the server's own certificate is not trusted", 'acme.ca'],
    given: ({ settings }) => fs.writeFileSync(settings.ca!, new Authority().certificate),
  },
  {
    name: 'no account without an agreement made elsewhere',
    cause: 'account',
    says: ['the server refuses the account: use your key'],
    given: ({ server }) => {
      const body = problem('externalAccountRequired', 'use your key')
      server.faults.newAccount = [{ status: 403, body }]
    },
  },
  {
    name: 'a name that the server does not serve',
    cause: 'rejected',
    says: ['gives none for this name', 'a.test is on the list'],
    given: ({ server }) => {
      const inner = problem('rejectedIdentifier', 'a.test is on the list')
      const body = { ...problem('compound', 'several'), subproblems: [inner] }
      server.faults.newOrder = [{ status: 403, body }]
    },
  },
  {
    name: 'port 80 that leads elsewhere',
    cause: 'connection',
    says: ['could not reach it: a.test:', 'port 80 of that name must lead to this node'],
    given: ({ server }) => {
      server.challengePort = 1
    },
  },
  {
    name: 'a name that is not in the DNS',
    cause: 'dns',
    says: ['could not look it up: NXDOMAIN'],
    given: ({ server }) => {
      server.verdict = problem('dns', 'NXDOMAIN\r\n\u001b[31mlooking up A for a.test')
    },
  },
  {
    name: 'a CAA record',
    cause: 'caa',
    says: ['a CAA record forbids it'],
    given: ({ server }) => {
      server.verdict = problem('caa', 'not us')
    },
  },
  {
    name: 'an order that becomes invalid',
    cause: 'invalid',
    says: ['the order failed: it is invalid'],
    given: ({ server }) => {
      server.faults.order = [{ status: 200, body: { status: 'invalid' } }]
    },
  },
  {
    name: 'a challenge that is offered in other ways only',
    cause: 'rejected',
    says: ['it takes no proof over http'],
    given: ({ server }) => {
      const body = { status: 'pending', identifier: { type: 'dns', value: 'a.test' } }
      server.faults.authz = [{ status: 200, body: { ...body, challenges: [] } }]
    },
  },
  {
    name: 'a chain that is none',
    cause: 'certificate',
    says: ['holds no certificate in PEM form'],
    given: ({ server }) => {
      server.chain = () => 'hello'
    },
  },
  {
    name: 'a certificate for another key',
    cause: 'certificate',
    says: ['the key is not the key of the certificate'],
    given: ({ server }) => {
      server.chain = () => server.authority.pairFor('a.test').cert
    },
  },
  {
    name: 'a certificate that is over',
    cause: 'certificate',
    says: ['it ended at ', 'whether the clock is right'],
    given: ({ server }) => {
      server.validity = () => ({ fromMs: Date.now() - 9 * DAY, toMs: Date.now() - DAY })
    },
  },
  {
    name: 'a key of the account that somebody broke',
    cause: 'files',
    says: ['account.key holds no key that can be read'],
    given: ({ directory }) => {
      fs.mkdirSync(path.join(directory, '.acme'))
      fs.writeFileSync(path.join(directory, '.acme', 'account.key'), 'broken')
    },
  },
  {
    name: 'a file in the way',
    cause: 'files',
    says: ['the directory of certificates cannot be used', 'EEXIST'],
    given: ({ directory }) => fs.writeFileSync(path.join(directory, '.acme'), ''),
  },
  {
    name: 'an order that takes too long',
    cause: 'timeout',
    says: ['the order took too long'],
    given: ({ server }) => {
      server.faults.finalize = ['hang']
    },
  },
]

describe('proxy W41: a renewal that fails leaves what there is', () => {
  test.each(ROWS)('$name', async ({ cause, says, given }) => {
    const answers = await challenges()
    const server = await serverFor(answers)
    const directory = path.join(temporaryDirectory(), 'certificates')
    fs.mkdirSync(directory)
    const { key, cert } = server.authority.pairFor('a.test')
    fs.writeFileSync(path.join(directory, 'a.test.key'), key)
    fs.writeFileSync(path.join(directory, 'a.test.crt'), cert)
    const settings = settingsOf(server, directory)
    await given({ server, directory, settings })
    const wallClock = () => Date.now() + 80 * DAY
    const config = { orderTimeoutMs: cause === 'timeout' ? 1_000 : 30_000 }
    const node = await run(settings, directory, answers, { wallClock, config })
    node.acme.want(['a.test'])
    await waitFor(() => expect(acmeSaid(node)).toHaveLength(1))
    const [said] = acmeSaid(node)
    expect(said).toMatch(/^warn acme: no new certificate for a\.test: /)
    expect(said).toMatch(/; the one before stays in use$/)
    expect(said).not.toMatch(/\p{Cc}/u)
    for (const each of says) expect(said).toContain(each)
    expect(node.acme.counters.failed[cause as 'server']).toBe(1)
    expect(fs.readFileSync(path.join(directory, 'a.test.key'), 'utf8')).toBe(key)
    expect(fs.readFileSync(path.join(directory, 'a.test.crt'), 'utf8')).toBe(cert)
    expect(answers.texts.size).toBe(0)
  })
})

describe('proxy W41: a node that died while it put a pair into place', () => {
  async function issued(): Promise<{
    node: Running
    directory: string
    start: () => Promise<Running>
  }> {
    const answers = await challenges()
    const server = await serverFor(answers)
    const directory = path.join(temporaryDirectory(), 'certificates')
    const settings = settingsOf(server, directory)
    const start = () => run(settings, directory, answers)
    const node = await start()
    node.acme.want(['a.test'])
    await waitFor(() => expect(namesOf(node)).toEqual(['a.test']))
    await node.stop()
    return { node, directory, start }
  }

  test('has the whole pair in its next life, not half of two', async () => {
    const { node, directory, start } = await issued()
    const { key, cert } = new Authority().pairFor('a.test')
    const whole = path.join(directory, '.acme', 'a.test.pem')
    fs.writeFileSync(whole, `${key}${cert}`)
    fs.writeFileSync(path.join(directory, 'a.test.key'), key) // and no further
    fs.writeFileSync(path.join(directory, '.acme', 'a.test.crt.new'), cert.slice(0, 100))
    const next = await start()
    expect(namesOf(next)).toEqual(['a.test'])
    expect(next.certificates.names()).not.toEqual(node.certificates.names())
    expect(fs.readFileSync(path.join(directory, 'a.test.crt'), 'utf8')).toBe(cert)
    expect(fs.readdirSync(path.join(directory, '.acme')).toSorted()).toEqual([
      'account.key',
      'accounts.json',
    ])
  })

  test('keeps the pair before when nothing of the new one can be used', async () => {
    const { node, directory, start } = await issued()
    const { key, cert } = new Authority().pairFor('b.test')
    fs.writeFileSync(path.join(directory, '.acme', 'a.test.pem'), `${key}${cert}`)
    const next = await start()
    expect(next.certificates.names()).toEqual(node.certificates.names())
    expect(fs.existsSync(path.join(directory, '.acme', 'a.test.pem'))).toBe(false)
  })
})
