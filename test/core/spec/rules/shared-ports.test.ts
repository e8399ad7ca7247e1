import fc from 'fast-check'
import { test } from 'vitest'
import { fileOf, problemsOf, type Tree } from '../files.ts'

interface Asked {
  readonly kind: 'http' | 'websocket' | 'https' | 'tcp' | 'tls'
  readonly host: string | undefined
  readonly path: string
  readonly expose: 'public' | 'internal'
  readonly trusted: readonly string[]
  readonly service: string
}

const asked: fc.Arbitrary<Asked> = fc.record({
  kind: fc.constantFrom('http', 'http', 'websocket', 'https', 'tcp', 'tls'),
  host: fc.constantFrom(undefined, 'a.test', 'A.test', '*.a.test'),
  path: fc.constantFrom('/', '/a', '/a/', '/b%c3', '/b%C3'),
  expose: fc.constantFrom('public', 'public', 'public', 'internal'),
  trusted: fc.constantFrom([], [], ['10.0.0.0/8', '::/0'], ['::/0', '10.0.0.0/8']),
  service: fc.constantFrom('a', 'b', 'c'),
})

const isRead = ({ kind }: Asked): boolean => kind !== 'tcp' && kind !== 'tls'

function treeOf(all: readonly Asked[]): Tree {
  const services: Record<string, { command: string; endpoints: Tree[] }> = {}
  for (const [index, each] of all.entries()) {
    const { kind, host, path, expose, trusted } = each
    services[each.service] ??= { command: 'x', endpoints: [] }
    services[each.service]?.endpoints.push({
      name: `e${index}`,
      port: 80,
      protocol: kind === 'tls' ? 'tcp' : kind,
      expose,
      stream: { accept_proxy_protocol: trusted, ...(kind === 'tls' ? { tls: true } : {}) },
      ...(isRead(each) ? { path } : {}),
      ...(host === undefined || kind === 'tcp' ? {} : { host }),
    })
  }
  return fileOf(services)
}

/** Whether two may be at one port, in as few words as there are. */
function getAlong(one: Asked, other: Asked): boolean {
  const kindOf = ({ kind }: Asked) => (kind === 'websocket' ? 'http' : kind)
  const routeOf = (each: Asked) => [
    each.host?.toLowerCase() ?? '',
    isRead(each) ? each.path.toUpperCase().replace(/\/$/, '') || '/' : '',
  ]
  return (
    one.kind !== 'tcp' &&
    kindOf(one) === kindOf(other) &&
    one.expose === other.expose &&
    one.trusted.toSorted().join() === other.trusted.toSorted().join() &&
    routeOf(one).join() !== routeOf(other).join()
  )
}

test('property: endpoints share a port exactly when any two of them may', () => {
  fc.assert(
    fc.property(fc.array(asked, { minLength: 1, maxLength: 4 }), (all) => {
      const fit = all.every((one, at) => all.slice(at + 1).every((other) => getAlong(one, other)))
      const problems = problemsOf(treeOf(all))
      if ((problems.length === 0) !== fit) throw new Error(`${fit}: ${problems.join('; ')}`)
    }),
    { numRuns: 2_000 },
  )
})
