import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  durationBoundsMs,
  type EndpointTotals,
  HttpTotals,
  OTHER,
  OUTCOMES,
  PROTOCOLS,
  STATUSES,
} from '../../../../shells/node/metrics/http-totals.ts'
import { exchange } from '../access-log/exchange.ts'

const everything = (): boolean => true

const find = (totals: HttpTotals, service: string): EndpointTotals | undefined =>
  totals.read(everything).find((each) => each.service === service)

const sum = (counts: Iterable<number>): number => [...counts].reduce((a, b) => a + b, 0)

const requestsOf = (endpoint: EndpointTotals | undefined): number =>
  sum([...(endpoint?.routes.values() ?? [])].map(sum))

describe('one exchange', () => {
  test('is counted once in each of what it is told by', () => {
    const totals = new HttpTotals()
    totals.add(exchange())
    const web = find(totals, 'web')
    expect(web).toMatchObject({ deployment: 'shop', service: 'web', endpoint: 'http' })
    expect(web).toMatchObject({ bytesIn: 3, bytesOut: 2_326, held: 1, retries: 1, tunnels: 0 })
    const counts = web?.routes.get('a.example.com/') ?? []
    expect([...counts].indexOf(1)).toBe(
      PROTOCOLS.indexOf('1.1') * STATUSES.length + STATUSES.indexOf('2xx'),
    )
    expect([sum(counts), sum(web?.outcomes ?? [])]).toEqual([1, 1])
    // 2.5 ms are within a bucket of 2.5 ms, 2.0004 too.
    const at = durationBoundsMs.indexOf(2.5)
    expect([web?.durations.counts[at], web?.durations.sumMs]).toEqual([1, 2.5])
    expect([web?.firstBytes.counts[at], web?.firstBytes.sumMs]).toEqual([1, 2.0004])
  })

  test('without an endpoint, or an answer, is counted all the same', () => {
    const totals = new HttpTotals()
    const timings = {
      headMs: undefined,
      chosenMs: undefined,
      sentMs: undefined,
      firstByteMs: undefined,
      totalMs: 99_999,
    }
    const outcome = 'request-timeout' as const
    totals.add(
      exchange({ listener: undefined, route: '', protocol: '?', status: 0, outcome, timings }),
    )
    const none = find(totals, '')
    expect([...(none?.routes.get('') ?? [])].lastIndexOf(1)).toBe(
      PROTOCOLS.indexOf('unknown') * STATUSES.length + STATUSES.indexOf('none'),
    )
    expect(none?.outcomes[OUTCOMES.indexOf(outcome)]).toBe(1)
    expect(none?.durations.counts.at(-1)).toBe(1)
    expect([sum(none?.firstBytes.counts ?? []), none?.held]).toEqual([0, 0])
  })

  test('that became a tunnel says nothing of how long requests take', () => {
    const totals = new HttpTotals()
    totals.add(exchange({ status: 101 }))
    totals.add(exchange({ status: 200, method: 'CONNECT', protocol: '2' }))
    totals.add(exchange({ status: 200, method: 'GET', protocol: '2' }))
    const web = find(totals, 'web')
    expect([web?.tunnels, sum(web?.durations.counts ?? [])]).toEqual([2, 1])
  })
})

test('an endpoint goes on counting when its listener is replaced', () => {
  const totals = new HttpTotals()
  for (const listener of ['shop/web/http#3', 'shop/db/http#4', 'shop/web/http#9']) {
    totals.add(exchange({ listener }))
  }
  expect([requestsOf(find(totals, 'web')), requestsOf(find(totals, 'db'))]).toEqual([2, 1])
})

describe('where there are more routes than are told apart', () => {
  const route = (name: string) => exchange({ listener: `shop/${name}/http#1`, route: `${name}/` })

  test('the rest is counted together, and how much that is', () => {
    const totals = new HttpTotals(3)
    for (const name of ['a', 'b', 'c', 'd', 'e', 'c', 'd']) totals.add(route(name))
    totals.add(exchange({ listener: 'shop/c/http#1', route: 'c/other' }))
    expect(requestsOf(find(totals, 'c'))).toBe(3)
    expect(find(totals, 'c')?.routes.get(OTHER)).toBeDefined()
    expect(find(totals, 'd')).toBeUndefined()
    const other = find(totals, OTHER)
    expect([other?.deployment, requestsOf(other)]).toEqual([OTHER, 3])
    expect(totals.leftOut).toBe(4)
  })

  test('those that are gone make room when they are read', () => {
    const totals = new HttpTotals(4)
    totals.add(exchange({ listener: undefined, route: '' }))
    for (const name of ['a', 'b', 'c', 'd', 'e']) totals.add(route(name))
    const isThere = (key: string): boolean => key !== 'shop/a/http' && key !== 'shop/b/http'
    const names = totals.read(isThere).map(({ service }) => service)
    expect(names).toEqual(['', 'c', 'd', OTHER])
    totals.add(route('e'))
    totals.add(route('c'))
    totals.add(exchange({ listener: undefined, route: '' }))
    expect(['e', 'c', ''].map((name) => requestsOf(find(totals, name)))).toEqual([1, 2, 2])
  })
})

test('no count goes back, and each exchange is in exactly one place', () => {
  const one = fc.record({
    listener: fc.option(fc.integer({ min: 0, max: 5 }), { nil: undefined }),
    route: fc.integer({ min: 0, max: 3 }),
    status: fc.constantFrom(0, 101, 200, 304, 404, 503, 999),
    protocol: fc.constantFrom('1.0', '1.1', '2', ''),
    outcome: fc.constantFrom(...OUTCOMES),
  })
  fc.assert(
    fc.property(fc.array(one, { maxLength: 60 }), fc.integer({ min: 1, max: 8 }), (all, max) => {
      const totals = new HttpTotals(max)
      for (const { listener, route, ...over } of all) {
        const id = listener === undefined ? undefined : `shop/s${listener}/http#${route}`
        totals.add(exchange({ ...over, listener: id, route: `h/${route}` }))
      }
      const read = totals.read(everything)
      expect(sum(read.map(requestsOf))).toBe(all.length)
      expect(sum(read.map(({ outcomes }) => sum(outcomes)))).toBe(all.length)
      const listed = sum(read.map(({ routes }) => sum([...(routes.get(OTHER) ?? [])])))
      expect(listed).toBe(totals.leftOut)
    }),
  )
})
