import fs from 'node:fs'
import path from 'node:path'
import { Effect } from 'effect'
import { describe, expect, test } from 'vitest'
import { makeCertificates } from '../../../../shells/node/tls/certificates.ts'
import { temporaryDirectory } from '../temporary-directory.ts'
import { fixture, place } from './fixtures.ts'
import { names, open, placed, waitFor } from './opened.ts'

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
