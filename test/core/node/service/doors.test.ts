import { describe, expect, test } from 'vitest'
import { doorsOf, programClaims } from '../../../../core/node/service/doors.ts'
import { serviceOf } from '../obedient-shell.ts'
import { deploy, mapping, node, places, replies, tcp, tls, typed } from './samples.ts'

describe('mappings', () => {
  test('one that is written twice is two, with a port each', () => {
    const twice = { endpoints: [tcp(6379)], portMappings: [mapping(), mapping()] }
    const doors = doorsOf(serviceOf(twice), [])
    expect(new Set(doors.map(({ key }) => key)).size).toBe(3)
    const shell = node(twice)
    expect(places(shell)).toEqual([
      'tcp 0.0.0.0:40000',
      'tcp 0.0.0.0:40001',
      'tcp 127.0.0.1:6379',
      'tcp [::1]:6379',
    ])
    deploy(shell, { ...twice, portMappings: [mapping()] })
    expect(places(shell)).toEqual(['tcp 0.0.0.0:40000', 'tcp 127.0.0.1:6379', 'tcp [::1]:6379'])
  })
})

describe('ports that programs choose', () => {
  const endpoints = [tcp(7000, { targetPort: 6379 })]

  test('a process has its number to itself, on any address', () => {
    const shell = node({ endpoints }, 'one')
    for (const hostIp of ['127.0.0.1', '10.9.0.1', '::1', '0.0.0.0', '::']) {
      const portMappings = [mapping({ hostIp, hostPort: 6379, containerPort: 8000 })]
      const commands = deploy(shell, { endpoints: [tcp(8000)], portMappings }, 'two')
      expect(replies(commands)).toMatchObject([{ ok: false, code: 'conflict' }])
    }
  })

  test('a container has a network of its own', () => {
    expect(programClaims(serviceOf({ endpoints }))).toHaveLength(1)
    expect(programClaims(serviceOf({ endpoints, runtime: 'docker' }))).toEqual([])
  })
})

describe('a TLS port that several share', () => {
  const behind = (host: string, ...acceptProxyProtocol: string[]) => ({
    endpoints: [tls(443, host, { acceptProxyProtocol })],
  })

  test('they trust the same proxies, in whatever order', () => {
    const shell = node(behind('a.example', '10.0.0.0/8', '192.0.2.0/24'), 'one')
    const same = behind('b.example', '192.0.2.0/24', '10.0.0.0/8')
    expect(replies(deploy(shell, same, 'two'))).toMatchObject([{ ok: true }])
    const [socket] = [...shell.bound.values()]
    expect(socket?.use).toMatchObject({ acceptProxyProtocol: ['10.0.0.0/8', '192.0.2.0/24'] })
  })

  test('who trusts others, or nobody, does not share it', () => {
    const shell = node(behind('a.example', '10.0.0.0/8'), 'one')
    for (const other of [behind('b.example'), behind('b.example', '192.0.2.0/24')]) {
      expect(replies(deploy(shell, other, 'two'))).toMatchObject([{ ok: false, code: 'conflict' }])
    }
  })
})

test('TLS that is made anew ends at the entrance; TLS that goes through does not', () => {
  for (const [how, tlsOfRoute] of [
    ['terminate', 'terminate'],
    ['reoriginate', 'terminate'],
    ['passthrough', 'passthrough'],
  ] as const) {
    const shell = node({ endpoints: [tls(443, undefined, { tls: how })] })
    expect(typed(shell.commands, 'bind-socket').map(({ use }) => use)).toMatchObject([
      { routes: [{ tls: tlsOfRoute }] },
      { routes: [{ tls: tlsOfRoute }] },
    ])
  }
})
