import fs from 'node:fs'
import path from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { CertificatesTiming } from '../../../../shells/node/tls/certificates.ts'
import { temporaryDirectory } from '../temporary-directory.ts'
import { fixture, place } from './fixtures.ts'
import { fingerprintOf, names, type Opened, open, placed, serve, shake, waitFor } from './opened.ts'

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
