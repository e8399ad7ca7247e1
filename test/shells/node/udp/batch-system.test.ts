import fc from 'fast-check'
import { describe, expect, test, vi } from 'vitest'
import { parseSocketAddress } from '../../../../core/net/address.ts'
import { packAddress, packIpv4 } from '../../../../core/net/packed-address.ts'
import type { ResolvedName } from '../../../../shells/node/udp/batch/messages.ts'
import {
  AF_INET,
  AF_INET6,
  emptyAddress,
  familyOf,
  NAME_BYTES,
  readName,
  writeName,
} from '../../../../shells/node/udp/batch/system/addresses.ts'
import {
  descriptorsIn,
  emptyBook,
  keepingBook,
} from '../../../../shells/node/udp/batch/system/descriptor-book.ts'
import { Poller, READABLE } from '../../../../shells/node/udp/batch/system/poller.ts'
import { ReceiveVector, SLOTS } from '../../../../shells/node/udp/batch/system/receive-vector.ts'
import { selfTest } from '../../../../shells/node/udp/batch/system/self-test.ts'
import { SendVector } from '../../../../shells/node/udp/batch/system/send-vector.ts'
import { type BoundSocket, Sockets } from '../../../../shells/node/udp/batch/system/sockets.ts'
import { Names } from '../../../../shells/node/udp/names.ts'
import { describeBatch, realLibc } from './batch-fixture.ts'
import { WatchedLibc } from './batch-watched-libc.ts'
import { descriptors } from './dgram-fixture.ts'

describe('socket names', () => {
  const bytesOf = (text: string): string => {
    const words = new Int32Array(8)
    const address = packAddress(parseSocketAddress(text)!)!
    writeName(words, 0, familyOf(address), address)
    return Buffer.from(words.buffer).subarray(0, NAME_BYTES).toString('hex')
  }

  test.each([
    // sockaddr_in: family, port and address in network order, eight zeros
    ['10.4.5.8:4200', `0200${'1068'}0a040508${'00'.repeat(20)}`],
    // sockaddr_in6: family, port, flow label, address, scope
    ['[2001:db8::1]:53', `0a00${'0035'}0000000020010db8${'00'.repeat(11)}0100000000`],
    ['[fe80::1%3]:53', `0a00${'0035'}00000000fe80${'00'.repeat(13)}0103000000`],
  ])('%s', (text, hex) => {
    expect(bytesOf(text)).toBe(hex)
  })

  test('a name that is written reads as the same address', () => {
    const word = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })
    const port = fc.integer({ min: 0, max: 65_535 })
    const six = fc.record({ a: word, b: word, c: word, d: word, port })
    const four = fc.tuple(word, port).map(([bits, port]) => packIpv4(bits, port))
    // fe80::/10 with the number of an interface, or without
    const local = fc.record({
      a: fc.constantFrom(0x80fe, 0xbffe),
      b: fc.integer({ min: 0, max: 2 ** 31 - 1 }),
      c: word,
      d: word,
      port,
    })
    fc.assert(
      fc.property(fc.oneof(six, four, local), (address) => {
        const words = new Int32Array(16).fill(-1)
        const into = emptyAddress()
        const family = familyOf(address)
        writeName(words, 8, family, address)
        readName(words, 8, family, into)
        expect(into).toEqual(address)
        expect(words.subarray(0, 8).every((each) => each === -1)).toBe(true)
      }),
    )
  })
})

describe('the names of backends', () => {
  const address: ResolvedName = { type: 'address', ip: '10.0.0.1' }

  test('one question for all that ask at once, each is answered', () => {
    const ask = vi.fn()
    const names = new Names<ResolvedName>(ask)
    const found = vi.fn()
    for (let count = 0; count < 5; count++) names.lookUp('db', 0, found)
    names.lookUp('web', 0, found)
    expect(ask.mock.calls).toEqual([['db'], ['web']])
    expect(found).not.toHaveBeenCalled()
    names.resolved('db', address, 10)
    expect(found.mock.calls).toEqual(Array.from({ length: 5 }, () => [address, 10]))
  })

  test('an answer holds for a second, and is asked for again then', () => {
    const ask = vi.fn()
    const names = new Names<ResolvedName>(ask)
    const found = vi.fn()
    names.lookUp('db', 0, found)
    names.resolved('db', { type: 'failed', reason: 'not found' }, 10)
    names.lookUp('db', 1_009, found)
    expect(found).toHaveBeenLastCalledWith({ type: 'failed', reason: 'not found' }, 1_009)
    names.lookUp('db', 1_010, found)
    expect(ask).toHaveBeenCalledTimes(2)
    names.resolved('db', address, 1_020)
    expect(found).toHaveBeenLastCalledWith(address, 1_020)
    names.resolved('nobody asked', address, 1_020)
  })

  test('who stopped waiting is not kept, nor answered; the question is not asked again', () => {
    const ask = vi.fn()
    const names = new Names<ResolvedName>(ask)
    const [gone, found] = [vi.fn(), vi.fn()]
    for (let flow = 0; flow < 1_000; flow++) names.lookUp('db', flow, gone)!()
    expect(names.waiting).toBe(0)
    names.lookUp('db', 1_000, found)
    expect(names.waiting).toBe(1)
    names.resolved('db', address, 1_001)
    expect([ask.mock.calls.length, gone.mock.calls.length, found.mock.calls]).toEqual([
      1,
      0,
      [[address, 1_001]],
    ])
  })
})

test('the book names what is open, whatever the numbers', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.integer({ min: 0, max: 2 ** 20 - 1 })), (fds) => {
      const book = emptyBook()
      const numbers = [...fds]
      const libc = keepingBook(
        { socket: () => numbers.shift() ?? -24, close: () => 0 } as never,
        book,
      )
      for (const fd of fds) expect(libc.socket(0, 0, 0)).toBe(fd)
      expect(libc.socket(0, 0, 0)).toBe(-24) // no descriptor
      expect(descriptorsIn(book)).toEqual(fds.toSorted((one, other) => one - other))
      const [first, ...rest] = fds
      if (first === undefined) return
      libc.close(first)
      expect(descriptorsIn(book)).toEqual(rest.toSorted((one, other) => one - other))
    }),
    { numRuns: 20 },
  )
})

describeBatch('vectors', () => {
  /** Two sockets of a family, the second knows the first. */
  async function pair(address: string) {
    const libc = await realLibc()
    const sockets = new Sockets(libc)
    const bound = sockets.bound(packAddress(parseSocketAddress(address)!)!) as BoundSocket
    const sender = sockets.connected(bound.address) as number
    const received = new ReceiveVector(libc)
    const vector = new SendVector(libc, received.data)
    const family = familyOf(bound.address)
    const send = (payloads: readonly Uint8Array[]): void => {
      const kind = { family, isNamed: false, hasPacketInfo: false } as const
      const datagrams = payloads.map((payload) => ({ payload }))
      for (let done = 0; done < datagrams.length; ) {
        const taken = vector.take(datagrams, done, kind, false)
        for (let message = 0; message < vector.count; ) message += vector.send(sender, message)
        done += taken
      }
    }
    const close = (): void => {
      libc.close(sender)
      libc.close(bound.fd)
    }
    return { libc, bound, sender, received, vector, family, send, close }
  }

  test.each(['127.0.0.1:0', '[::1]:0'])(
    'datagrams of any lengths at %s come out as they went in, batch after batch',
    async (address) => {
      const { bound, received, family, send, close } = await pair(address)
      fc.assert(
        fc.property(
          fc.array(fc.uint8Array({ maxLength: 3_000 }), { minLength: 1, maxLength: 30 }),
          (payloads) => {
            received.clear()
            send(payloads)
            const count = received.receiveFrom(bound.fd, SLOTS, family)
            expect(count).toBe(payloads.length)
            for (const [index, payload] of payloads.entries()) {
              expect(Buffer.compare(received.payload(index), payload)).toBe(0)
              expect({ ...received.from(index), port: 0 }).toEqual({ ...bound.address, port: 0 })
            }
            expect(received.receiveFrom(bound.fd, SLOTS, family)).toBe(-11) // EAGAIN
          },
        ),
        { numRuns: 50 },
      )
      close()
    },
  )

  test('slots are used by sockets of both families in turn', async () => {
    const [four, six] = [await pair('127.0.0.1:0'), await pair('[::1]:0')]
    for (const one of [four, six, four, six]) {
      one.send([Uint8Array.of(1)])
      four.received.clear()
      expect(four.received.receiveFrom(one.bound.fd, 1, one.family)).toBe(1)
      expect({ ...four.received.from(0), port: 0 }).toEqual({ ...one.bound.address, port: 0 })
    }
    four.close()
    six.close()
  })

  test('slots fill up over several calls, and no further', async () => {
    const { bound, received, family, send, close } = await pair('127.0.0.1:0')
    send(Array.from({ length: 70 }, (_, at) => Uint8Array.of(at)))
    expect(received.receiveFrom(bound.fd, 60, family)).toBe(60)
    expect(received.free).toBe(4)
    expect(received.receive(bound.fd, 60)).toBe(4)
    expect([received.used, received.free]).toEqual([64, 0])
    expect(Array.from({ length: 64 }, (_, at) => received.payload(at)[0])).toEqual(
      Array.from({ length: 64 }, (_, at) => at),
    )
    received.clear()
    expect(received.receiveFrom(bound.fd, 64, family)).toBe(6)
    expect(received.payload(0)[0]).toBe(64)
    close()
  })

  test('what was received is sent on without a copy, anything else with one', async () => {
    const watched = new WatchedLibc(await realLibc())
    const received = new ReceiveVector(watched.libc)
    const vector = new SendVector(watched.libc, received.data)
    received.data.bytes.set(Buffer.from('inside'), 100)
    const inside = new Uint8Array(received.data.buffer, 100, 6)
    const kind = { family: AF_INET, isNamed: false, hasPacketInfo: false } as const
    watched.fail.sendmmsg = () => -1
    const header = Buffer.from('header ')
    vector.take([{ payload: inside, header }, { payload: Buffer.from('out') }], 0, kind, false)
    vector.send(0, 0)
    expect(watched.sends[0]!.messages.map(({ bytes }) => bytes.toString())).toEqual([
      'header inside',
      'out',
    ])
    inside.set(Buffer.from('changed'.slice(0, 6)))
    vector.send(0, 0)
    expect(watched.sends[1]!.messages[0]!.bytes.toString()).toBe('header change')
  })

  test('a slot that cut an IPv4 train does for one of IPv6', async () => {
    const watched = new WatchedLibc(await realLibc())
    const vector = new SendVector(watched.libc, new ReceiveVector(watched.libc).data)
    watched.fail.sendmmsg = () => -1
    for (const [address, family] of [
      ['127.0.0.1:7', AF_INET],
      ['[::1]:7', AF_INET6],
      ['127.0.0.1:7', AF_INET],
    ] as const) {
      const to = packAddress(parseSocketAddress(address)!)!
      const datagram = { payload: Uint8Array.of(1), to, from: to }
      vector.take([datagram, datagram], 0, { family, isNamed: true, hasPacketInfo: true }, true)
      vector.send(0, 0)
    }
    expect(watched.sends.map(({ messages }) => messages.map(({ segment }) => segment))).toEqual([
      [1],
      [1],
      [1],
    ])
  })

  test('five of the longest datagrams from elsewhere do not fit at once, but go', async () => {
    const { vector, close } = await pair('127.0.0.1:0')
    const datagrams = Array.from({ length: 5 }, () => ({ payload: new Uint8Array(65_507) }))
    const kind = { family: AF_INET6, isNamed: false, hasPacketInfo: false } as const
    expect(vector.take(datagrams, 0, kind, true)).toBe(4)
    expect(vector.take(datagrams, 4, kind, true)).toBe(1)
    close()
  })
})

describeBatch('the self-test', () => {
  test('finds nothing wrong here, and leaves nothing open', async () => {
    const before = descriptors()
    expect(selfTest(await realLibc())).toBeUndefined()
    expect(descriptors()).toBe(before)
  })

  test.each([
    ['socket', 'socket EPERM 127.0.0.1:0'],
    ['connect', /^connect EPERM 127\.0\.0\.1:\d+$/],
    ['epollCtl', 'epoll_ctl EPERM'],
    ['sendmmsg', 'sendmmsg EPERM'],
    ['recvmmsg', 'recvmmsg EPERM'],
  ] as const)('says so where %s is forbidden', async (call, reason) => {
    const before = descriptors()
    const watched = new WatchedLibc(await realLibc())
    watched.fail[call] = () => -1
    const problem = selfTest(watched.libc)
    if (typeof reason === 'string') expect(problem).toBe(reason)
    else expect(problem).toMatch(reason)
    expect(descriptors()).toBe(before)
  })

  test('notices structures that are not as this machine has them', async () => {
    const real = await realLibc()
    const shifted = { ...real, epollWait: () => 1 } // an event where there is none
    expect(selfTest(shifted)).toBe('epoll does not tell of a datagram')
  })
})

describeBatch('epoll', () => {
  test('a closed descriptor`s number may be another`s: it is told what does not matter', async () => {
    const libc = await realLibc()
    const poller = new Poller(libc)
    const first = libc.eventfd()
    const told: string[] = []
    expect(poller.add(first, READABLE, { ready: () => told.push('first') })).toBe(0)
    expect(poller.wait(0)).toBe(0)
    poller.forget(first)
    libc.close(first)
    expect(poller.wait(0)).toBe(0)
    expect(poller.add(first, READABLE, { ready: () => told.push('none') })).toBe(-9) // EBADF
    expect(told).toEqual([])
    poller.close()
  })
})
