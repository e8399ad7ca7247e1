import { describe, expect, test } from 'vitest'
import { place } from './fixtures.ts'
import { fingerprintOf, names, open, placed, serve, shake, waitFor } from './opened.ts'

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
