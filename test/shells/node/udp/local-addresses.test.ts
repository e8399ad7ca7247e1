import { networkInterfaces } from 'node:os'
import { describe, expect, test } from 'vitest'
import { parseIp } from '../../../../core/net/address.ts'
import { formatPacked } from '../../../../core/net/packed-address.ts'
import { AddressBook } from '../../../../shells/node/udp/dgram/address-book.ts'
import { LocalAddresses, type ReadInterfaces } from '../../../../shells/node/udp/local-addresses.ts'

const NETWORK = { netmask: '', mac: '', internal: false, cidr: null }
const interfaces = (number: number): ReturnType<ReadInterfaces> => ({
  lo: [
    { ...NETWORK, family: 'IPv4', address: '127.0.0.1' },
    { ...NETWORK, family: 'IPv6', address: '::1', scopeid: 0 },
  ],
  eth0: [
    { ...NETWORK, family: 'IPv4', address: '10.0.0.1' },
    { ...NETWORK, family: 'IPv4', address: '10.0.0.1' },
    { ...NETWORK, family: 'IPv6', address: 'fd00::1', scopeid: 0 },
    { ...NETWORK, family: 'IPv6', address: 'fe80::1', scopeid: number },
  ],
  gone: undefined,
})

describe('local addresses', () => {
  test('by family, once each, link-local ones with their interface', () => {
    const local = new LocalAddresses(() => interfaces(2))
    expect(local.of(4)).toEqual(['127.0.0.1', '10.0.0.1'])
    expect(local.of(6)).toEqual(['::1', 'fd00::1', 'fe80::1%eth0'])
  })

  test('names and numbers of interfaces', () => {
    const local = new LocalAddresses(() => interfaces(2))
    expect([local.numberOf('eth0'), local.numberOf('lo'), local.numberOf('eth1')]).toEqual([
      2,
      undefined,
      undefined,
    ])
    expect([local.nameOf(2), local.nameOf(3)]).toEqual(['eth0', undefined])
  })

  test('interfaces nobody knows are not looked for again and again', () => {
    let reads = 0
    const local = new LocalAddresses(() => {
      reads += 1
      return interfaces(2)
    })
    for (let count = 0; count < 1_000; count++) local.numberOf(`eth${count + 1}`)
    expect(reads).toBeLessThan(10)
  })

  test('while they cannot be read they are as they were; without any, that is an error', () => {
    let fails = true
    const local = new LocalAddresses(() => {
      if (fails) throw new Error('out of descriptors')
      return interfaces(2)
    })
    expect(() => local.of(4)).toThrow('out of descriptors')
    expect(local.numberOf('eth0')).toBeUndefined()
    fails = false
    const known = [local.of(4), local.of(6)]
    fails = true
    expect([local.of(4), local.of(6)]).toEqual(known)
    expect([local.nameOf(2), local.nameOf(3)]).toEqual(['eth0', undefined])
  })

  test('what this machine has can be read', () => {
    const local = new LocalAddresses()
    const count = Object.values(networkInterfaces()).flat().length
    expect(local.of(4).length + local.of(6).length).toBeLessThanOrEqual(count)
    for (const text of [...local.of(4), ...local.of(6)]) expect(parseIp(text)).toBeDefined()
  })
})

describe('the address book', () => {
  test.each([
    ['10.0.0.9', '10.0.0.9:0'],
    ['::ffff:10.0.0.9', '10.0.0.9:0'],
    ['2001:db8::1', '[2001:db8::1]:0'],
    ['fe80::9%eth0', '[fe80::9%2]:0'],
    ['fe80::9%7', '[fe80::9%7]:0'],
    ['fe80::9', '[fe80::9]:0'],
  ])('%s', (text, packed) => {
    const book = new AddressBook(new LocalAddresses(() => interfaces(2)))
    expect(formatPacked(book.pack(text)!)).toBe(packed)
    expect(book.pack(text)).toEqual(book.pack(text))
    const back = text.replace('::ffff:', '')
    expect(book.text(book.pack(text)!)).toBe(back)
  })

  test.each(['', 'nobody', '1.2.3', 'fe80::9%eth1', 'fe80:0:0:1::9%eth0'])('not %j', (text) => {
    const book = new AddressBook(new LocalAddresses(() => interfaces(2)))
    expect(book.pack(text)).toBeUndefined()
  })

  test('an interface that has another number now keeps its name', () => {
    let number = 2
    const local = new LocalAddresses(() => interfaces(number))
    const book = new AddressBook(local)
    expect(formatPacked(book.pack('fe80::9%eth0')!)).toBe('[fe80::9%2]:0')
    number = 5
    local.of(6)
    const packed = book.pack('fe80::9%eth0')!
    expect(formatPacked(packed)).toBe('[fe80::9%5]:0')
    expect(book.text(packed)).toBe('fe80::9%eth0')
  })

  test('any number of sources is packed right', () => {
    const book = new AddressBook(new LocalAddresses(() => interfaces(2)))
    for (let count = 0; count < 40_000; count++) {
      const text = `10.${count >> 16}.${(count >> 8) & 255}.${count & 255}`
      expect(book.text(book.pack(text)!)).toBe(text)
    }
  })
})
