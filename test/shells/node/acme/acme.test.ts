import fs from 'node:fs'
import path from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { temporaryDirectory } from '../temporary-directory.ts'
import { serve, shake } from '../tls/opened.ts'
import { acmeSaid, challenges, namesOf, run, serverFor, settingsOf, waitFor } from './fixture.ts'

vi.setConfig({ testTimeout: 60_000 })

const DAY = 86_400_000

async function begin() {
  const answers = await challenges()
  const server = await serverFor(answers)
  const directory = path.join(temporaryDirectory(), 'certificates')
  const settings = settingsOf(server, directory)
  const shown = async (port: number, servername: string) =>
    (await shake(port, { servername, ca: server.authority.certificate })).fingerprint
  return { answers, server, directory, settings, shown }
}

describe('proxy W41: certificates are got', () => {
  test('for a name that has none, and in use as soon as they are there', async () => {
    const { answers, server, directory, settings, shown } = await begin()
    const node = await run(settings, directory, answers)
    const port = await serve(node.certificates)
    await expect(shown(port, 'a.test')).rejects.toThrow('no handshake')
    node.acme.want(['a.test'])
    await waitFor(() => expect(namesOf(node)).toEqual(['a.test']))
    expect(await shown(port, 'a.test')).toBe(node.certificates.names()[0]?.fingerprint)
    expect(server.steps).toEqual([
      'directory',
      'newAccount',
      'newOrder',
      'challenge',
      'finalize',
      'certificate',
    ])
    expect(node.said).toEqual([
      expect.stringMatching('^warn certificates: .* holds none$'),
      'info acme: a.test has a new certificate',
      expect.stringMatching('^info certificates: a.test: in use, until '),
    ])
    expect(answers.texts.size).toBe(0)
    expect(node.acme.counters).toMatchObject({ orders: 1, issued: 1 })
    expect(node.acme.nameCounts()).toEqual({ good: 1, ending: 0, missing: 0 })
  })

  test('with nothing but the pair in sight, and nobody else may read what is secret', async () => {
    const { answers, directory, settings } = await begin()
    const node = await run(settings, directory, answers)
    node.acme.want(['a.test'])
    await waitFor(() => expect(namesOf(node)).toEqual(['a.test']))
    const modes = (at: string) =>
      fs
        .readdirSync(at)
        .toSorted()
        .map((name) => `${name} ${(fs.statSync(path.join(at, name)).mode & 0o777).toString(8)}`)
    expect(modes(directory)).toEqual(['.acme 700', 'a.test.crt 600', 'a.test.key 600'])
    expect(modes(path.join(directory, '.acme'))).toEqual(['account.key 600', 'accounts.json 600'])
  })

  test('for two names one after the other, and for one that a deploy adds', async () => {
    const { answers, server, directory, settings } = await begin()
    const node = await run(settings, directory, answers)
    node.acme.want(['b.test', 'a.test'])
    await waitFor(() => expect(namesOf(node)).toEqual(['a.test', 'b.test']))
    node.acme.want(['a.test', 'b.test', 'c.test'])
    await waitFor(() => expect(namesOf(node)).toEqual(['a.test', 'b.test', 'c.test']))
    expect(server.issued).toEqual(['a.test', 'b.test', 'c.test'])
    expect(server.concurrent).toBe(1)
    expect(server.accounts.size).toBe(1)
  })

  test('also from a server that refuses nonces, is slow, and says when to ask again', async () => {
    const { answers, server, directory, settings } = await begin()
    server.badNonceEvery = 2
    server.busy = 4
    server.faults.order = [
      { status: 200, headers: { 'retry-after': '1' }, body: { status: 'pending' } },
    ]
    const node = await run(settings, directory, answers)
    node.acme.want(['a.test'])
    await waitFor(() => expect(namesOf(node)).toEqual(['a.test']))
    expect(server.issued).toEqual(['a.test'])
  })
})

describe('proxy W41: certificates are renewed', () => {
  test('before they end, without a restart: the next client is shown the new one', async () => {
    const { answers, server, directory, settings, shown } = await begin()
    let late = 0
    const wallClock = () => Date.now() + late
    // Good already on the day on which the test runs.
    server.validity = () => ({ fromMs: Date.now() - DAY, toMs: wallClock() + 89 * DAY })
    const node = await run(settings, directory, answers, { wallClock })
    const port = await serve(node.certificates)
    node.acme.want(['a.test'])
    await waitFor(() => expect(namesOf(node)).toEqual(['a.test']))
    const first = await shown(port, 'a.test')
    late = 58 * DAY
    node.acme.want(['a.test'])
    expect(node.acme.nameCounts()).toEqual({ good: 1, ending: 0, missing: 0 })
    late = 60 * DAY
    node.acme.want(['a.test'])
    expect(node.acme.nameCounts()).toEqual({ good: 0, ending: 1, missing: 0 })
    await waitFor(async () => expect(await shown(port, 'a.test')).not.toBe(first))
    expect(server.issued).toEqual(['a.test', 'a.test'])
  })

  test('by the next life of the node too, with its account; what is good is left alone', async () => {
    const { answers, server, directory, settings } = await begin()
    const before = await run(settings, directory, answers)
    before.acme.want(['a.test'])
    await waitFor(() => expect(namesOf(before)).toEqual(['a.test']))
    const [shown] = before.certificates.names()
    await before.stop()
    server.steps.length = 0

    const node = await run(settings, directory, answers)
    node.acme.want(['a.test'])
    expect(node.certificates.names()).toEqual([shown])
    expect(node.acme.nameCounts()).toEqual({ good: 1, ending: 0, missing: 0 })
    expect(server.steps).toEqual([])
    node.acme.want(['a.test', 'b.test'])
    await waitFor(() => expect(namesOf(node)).toEqual(['a.test', 'b.test']))
    expect(server.steps).toEqual(['directory', 'newOrder', 'challenge', 'finalize', 'certificate'])
  })

  test('and not for names that left; their pairs stay', async () => {
    const { answers, server, directory, settings } = await begin()
    let late = 0
    const wallClock = () => Date.now() + late
    const node = await run(settings, directory, answers, { wallClock })
    node.acme.want(['a.test'])
    await waitFor(() => expect(namesOf(node)).toEqual(['a.test']))
    late = 80 * DAY
    node.acme.want([])
    expect(node.acme.nameCounts()).toEqual({ good: 0, ending: 0, missing: 0 })
    expect(fs.existsSync(path.join(directory, 'a.test.crt'))).toBe(true)
    expect(server.issued).toEqual(['a.test'])
  })
})

describe('an account', () => {
  test('that the server deleted is made anew', async () => {
    const { answers, server, directory, settings } = await begin()
    const node = await run(settings, directory, answers)
    node.acme.want(['a.test'])
    await waitFor(() => expect(namesOf(node)).toEqual(['a.test']))
    server.accounts.clear()
    node.acme.want(['a.test', 'b.test'])
    await waitFor(() => expect(namesOf(node)).toEqual(['a.test', 'b.test']))
    expect(server.accounts.size).toBe(1)
  })

  test('gets the address that the node file has now', async () => {
    const { answers, server, directory, settings } = await begin()
    const before = await run(settings, directory, answers)
    before.acme.want(['a.test'])
    await waitFor(() => expect(namesOf(before)).toEqual(['a.test']))
    await before.stop()
    const node = await run({ ...settings, email: 'new@b.test' }, directory, answers)
    node.acme.want(['b.test'])
    await waitFor(() => expect(namesOf(node)).toEqual(['a.test', 'b.test']))
    expect([...server.accounts.values()].map(({ contact }) => contact)).toEqual([
      ['mailto:new@b.test'],
    ])
  })

  test('is not lost with the file that remembers its URL: its key is the account', async () => {
    const { answers, server, directory, settings } = await begin()
    const before = await run(settings, directory, answers)
    before.acme.want(['a.test'])
    await waitFor(() => expect(namesOf(before)).toEqual(['a.test']))
    await before.stop()
    fs.writeFileSync(path.join(directory, '.acme', 'accounts.json'), '{"torn')
    const node = await run(settings, directory, answers)
    node.acme.want(['b.test'])
    await waitFor(() => expect(namesOf(node)).toEqual(['a.test', 'b.test']))
    expect(server.accounts.size).toBe(1)
  })
})

test('an order is given up when the node stops, and nothing of it remains', async () => {
  const { answers, server, directory, settings } = await begin()
  server.faults.challenge = ['hang']
  const node = await run(settings, directory, answers)
  node.acme.want(['a.test'])
  await waitFor(() => expect(answers.texts.size).toBe(1))
  await waitFor(() => expect(server.steps).toContain('challenge'))
  let hasStopped = false
  void node.stop().then(() => {
    hasStopped = true
  })
  // Sooner than the server's silence would end it.
  await vi.waitFor(() => expect(hasStopped).toBe(true), { timeout: 20_000, interval: 5 })
  expect(answers.texts.size).toBe(0)
  expect(acmeSaid(node)).toEqual([])
  expect(fs.readdirSync(directory)).toEqual(['.acme'])
})
