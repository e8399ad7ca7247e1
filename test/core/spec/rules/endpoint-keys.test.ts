import { describe, expect, test } from 'vitest'
import type { EndpointSpec } from '../../../../core/spec/deployment.ts'
import { plainEndpoint } from '../../../../core/spec/plain-endpoint.ts'
import { endpointWith, problemsOf, type Tree, webOf } from '../files.ts'

const AT = '/services/web/endpoints/0'
const tcp = (stream: Tree, more: Tree = {}): Tree =>
  endpointWith({ protocol: 'tcp', stream, ...more })
const endpointOf = (keys: Tree): EndpointSpec =>
  webOf({ endpoints: [{ name: 'a', protocol: 'tcp', port: 80, ...keys }] }).endpoints[0]!

describe('keys that cannot work are refused', () => {
  const NEEDS_TLS =
    'host needs tls: plain tcp does not say whom it is for; remove it, or write stream: { tls: terminate }'
  const ROWS: readonly [string, Tree, readonly string[]][] = [
    ['a host of plain tcp', tcp({}, { host: 'a.test' }), [`${AT}/host: ${NEEDS_TLS}`]],
    [
      'a host without any stream block',
      endpointWith({ protocol: 'tcp', host: 'a.test' }),
      [`${AT}/host: ${NEEDS_TLS}`],
    ],
    [
      'what is for TLS, while it is not known whether there is any',
      tcp({ tls: 'teminate', backend_name: 'b.test' }, { host: 'a.test' }),
      [
        `=${AT}/stream/tls: tls must be off, terminate, reoriginate or passthrough, not "teminate"; did you mean terminate?`,
      ],
    ],
    [
      'an address for a server name',
      tcp({ tls: 'passthrough' }, { host: '10.0.0.1' }),
      [
        `=${AT}/host: host must be a name: a client never asks TLS for an address (RFC 6066, 3); remove it, or write the name`,
      ],
    ],
    [
      'a wildcard in the middle, and one too many',
      tcp({ tls: true }, { host: 'a.*.test' }),
      [`=${AT}/host: host must be a host such as example.com or *.example.com, not "a.*.test"`],
    ],
    [
      'a name longer than DNS has',
      tcp({ tls: true }, { host: `${'a.'.repeat(126)}ab` }),
      [`=${AT}/host: host is longer than 253 characters`],
    ],
    [
      'how a replica is known, where no TLS is spoken to it',
      tcp({ tls: 'terminate', backend_ca: 'ca.pem', backend_name: 'db' }),
      [
        `${AT}/stream/backend_ca: backend_ca is for tls: reoriginate; remove it, or write that`,
        `${AT}/stream/backend_name: backend_name is for tls: reoriginate; remove it, or write that`,
      ],
    ],
    [
      'how a replica is known, at a udp endpoint',
      endpointWith({ protocol: 'udp', stream: { backend_name: 'db' } }),
      [`${AT}/stream/backend_name: backend_name means nothing for a udp endpoint; remove it`],
    ],
    [
      'names of a replica that are none',
      tcp({ tls: 'reoriginate', backend_ca: '', backend_name: '10.0.0.1' }),
      [
        `=${AT}/stream/backend_ca: backend_ca must be the path of a file, not ""`,
        `=${AT}/stream/backend_name: backend_name must be a name, not "10.0.0.1": TLS asks for names only (RFC 6066, 3)`,
      ],
    ],
    [
      'a wildcard for the name of a replica',
      tcp({ tls: 'reoriginate', backend_name: '*.test' }),
      [`=${AT}/stream/backend_name: backend_name must be a name such as db.internal, not "*.test"`],
    ],
    [
      'numbers of connections that are none',
      tcp({ max_connections: 0, max_connections_per_backend: -1 }),
      [
        `=${AT}/stream/max_connections: max_connections must be a whole number from 1 to 1000000, not 0`,
        `=${AT}/stream/max_connections_per_backend: max_connections_per_backend must be a whole number from 0 to 1000000, not -1`,
      ],
    ],
    [
      'a stream block of https',
      endpointWith({ protocol: 'https', stream: { tls: 'terminate' } }),
      [`${AT}/stream: stream means nothing for a https endpoint; remove it`],
    ],
  ]
  for (const [name, tree, problems] of ROWS) {
    test(name, () => expect(problemsOf(tree)).toEqual(problems))
  }
})

describe('what is settled', () => {
  test('proxy W40: TLS of https is ended here', () => {
    expect(endpointOf({ protocol: 'https' }).stream.tls).toBe('terminate')
    expect(endpointOf({ protocol: 'http' }).stream.tls).toBe('off')
  })

  test('a replica goes by the host’s name, unless that is many or it has one of its own', () => {
    const nameOf = (host: string | undefined, stream: Tree) =>
      endpointOf({ stream, ...(host === undefined ? {} : { host }) }).stream.backendName
    const tls = 'reoriginate'
    expect(nameOf('Db.test', { tls })).toBe('db.test')
    expect(nameOf('*.test', { tls })).toBeUndefined()
    expect(nameOf(undefined, { tls })).toBeUndefined()
    expect(nameOf('a.test', { tls, backend_name: 'Db.internal' })).toBe('db.internal')
    expect(nameOf('a.test', { tls: 'terminate' })).toBeUndefined()
  })

  test('names are in lower case, paths as they are written', () => {
    const { host, stream } = endpointOf({
      host: '*.Example.COM',
      stream: { tls: 'reoriginate', backend_ca: './CA.pem', max_connections_per_backend: 7 },
    })
    expect(host).toBe('*.example.com')
    expect(stream).toMatchObject({ backendCa: './CA.pem', connectionsPerBackendMax: 7 })
  })

  test('a plain endpoint is one that says nothing else', () => {
    for (const protocol of ['tcp', 'udp'] as const) {
      const read = endpointOf({ protocol, target_port: 9000 })
      expect(plainEndpoint('a', protocol, 80, 9000)).toEqual(read)
    }
  })
})
