/** Ports that several services share, and what nobody may open for another. */
import { describe, expect, test } from 'vitest'
import { listenersIn } from '../../../../core/node/service/sockets.ts'
import type { ServiceSpec } from '../../../../core/spec/deployment.ts'
import type { ObedientShell } from '../obedient-shell.ts'
import { deploy, internal, mapping, node, remove, replies, tls } from '../service/samples.ts'

test('services of several deployments share a TLS port by the name that is asked for', () => {
  const shell = node({ endpoints: [tls(443, 'a.example.com')] }, 'one')
  expect(replies(deploy(shell, { endpoints: [tls(443, 'b.example.com')] }, 'two'))).toMatchObject([
    { ok: true },
  ])
  const [socket] = [...shell.bound.values()]
  expect(socket?.use).toEqual({
    kind: 'tcp',
    greetingsMax: 10_000,
    acceptProxyProtocol: [],
    routes: [
      { listener: 'one/web/tcp#1', serverName: 'a.example.com', tls: 'passthrough' },
      { listener: 'two/web/tcp#2', serverName: 'b.example.com', tls: 'passthrough' },
    ],
  })
  const same = deploy(shell, { endpoints: [tls(443, 'a.example.com')] }, 'three')
  expect(replies(same)).toMatchObject([{ ok: false, code: 'conflict' }])
  const open = deploy(
    shell,
    { endpoints: [{ ...tls(443, 'c.example.com'), expose: 'public' }] },
    'three',
  )
  expect(replies(open)).toMatchObject([{ ok: false, code: 'conflict' }])
  remove(shell, 'one')
  expect([...shell.bound.values()].map(({ use }) => use)).toMatchObject([
    { routes: [{ listener: 'two/web/tcp#2' }] },
    { routes: [{ listener: 'two/web/tcp#2' }] },
  ])
})

describe('proxy W4: nobody opens an internal TLS endpoint of another deployment', () => {
  const secret = { endpoints: [tls(443, 'a.example.com')] }
  /** Its own endpoint, mapped to the port of `secret`. */
  const mapped = (hostIp: string): Partial<ServiceSpec> => ({
    endpoints: [tls(9443, 'b.example.com')],
    portMappings: [mapping({ containerPort: 9443, hostPort: 443, hostIp })],
  })
  const orders = (hostIp: string) => {
    const [one, two] = [['one', secret] as const, ['two', mapped(hostIp)] as const]
    return [[one, two] as const, [two, one] as const]
  }
  /** Where port 443 leads: `127.0.0.1:443 one two`. */
  const doors = (shell: ObedientShell): string[] =>
    [...shell.bound.values()]
      .filter(({ port }) => port === 443)
      .map(({ address, use }) => {
        const owners = listenersIn(use).map((listener) => listener.split('/')[0])
        return [address, ...owners.sort()].join(' ')
      })
      .sort()

  for (const hostIp of ['0.0.0.0', '::']) {
    for (const [[first, itsSpec], [second, spec]] of orders(hostIp)) {
      test(`${first} has the port, and ${second} is refused: a mapping is at ${hostIp}`, () => {
        const shell = node(itsSpec, first)
        const before = doors(shell)
        const commands = deploy(shell, spec, second)
        expect(commands.map(({ type }) => type)).toEqual(['reply'])
        expect(replies(commands)).toMatchObject([
          { code: 'conflict', text: expect.stringContaining(`belongs to ${first}/web, so`) },
        ])
        expect(doors(shell)).toEqual(before)
        remove(shell, first)
        expect(replies(deploy(shell, spec, second))).toMatchObject([{ ok: true }])
      })
    }
  }

  test('nor does a tenant that shares its port, by a later version of its file', () => {
    const shell = node(secret, 'one')
    deploy(shell, { endpoints: [tls(443, 'b.example.com')] }, 'two')
    const before = doors(shell)
    expect(before).toEqual(['127.0.0.1:443 one two', '[::1]:443 one two'])
    const endpoints = [tls(443, 'b.example.com')]
    const portMappings = [mapping({ containerPort: 443, hostPort: 443 })]
    expect(replies(deploy(shell, { endpoints, portMappings }, 'two'))).toMatchObject([
      { ok: false, code: 'conflict' },
    ])
    const open = [{ ...tls(443, 'b.example.com'), expose: 'public' as const }]
    expect(replies(deploy(shell, { endpoints: open }, 'two'))).toMatchObject([
      { ok: false, code: 'conflict' },
    ])
    expect(doors(shell)).toEqual(before)
  })

  for (const [[first, itsSpec], [second, spec]] of orders('10.9.0.1')) {
    test(`a mapping at 10.9.0.1 and a tenant on loopback: each at its own, ${first} first`, () => {
      const shell = node(itsSpec, first)
      expect(replies(deploy(shell, spec, second))).toMatchObject([{ ok: true }])
      expect(doors(shell)).toEqual(['10.9.0.1:443 two', '127.0.0.1:443 one', '[::1]:443 one'])
      // The address turns out to be one of the internal network, where both may be.
      internal(shell, '10.9.0.1')
      expect(doors(shell)).toEqual(['10.9.0.1:443 one two', '127.0.0.1:443 one', '[::1]:443 one'])
      internal(shell)
      expect(doors(shell)).toEqual(['10.9.0.1:443 two', '127.0.0.1:443 one', '[::1]:443 one'])
      // One is not led to through what belongs to the other alone.
      remove(shell, 'one')
      expect(doors(shell)).toEqual(['10.9.0.1:443 two'])
    })
  }
})
