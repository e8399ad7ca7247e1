import { expect, test } from 'vitest'
import { simulateScript } from '../../sim/simulate.ts'
import { plant } from './planted.ts'
import { after, deploy, endpoint, service } from './scripts.ts'

test('a program that never works is an excuse, for it and for those that need it', () => {
  const { excuses, failure } = simulateScript([
    after(
      0,
      deploy(
        service({ broken: true }),
        service({
          depends: [{ on: 0, condition: 'healthy', timeoutMs: 5_000, onTimeout: 'fail' }],
        }),
        service(),
      ),
    ),
  ])
  expect(failure).toBeUndefined()
  expect(excuses).toEqual([
    'shop/web: its program never works',
    'shop/db: it needs web: its program never works',
  ])
})

test('a service that needs one of which none is wanted is excused, and nothing else is', () => {
  const { excuses, failure } = simulateScript([
    after(
      0,
      deploy(
        service({ replicas: 0 }),
        service({
          depends: [{ on: 0, condition: 'started', timeoutMs: 5_000, onTimeout: 'fail' }],
        }),
      ),
    ),
  ])
  expect(failure).toBeUndefined()
  expect(excuses).toEqual(['shop/db: it needs web, of which none is wanted'])
})

test('a stall without damage is a failure that names what is waited for', () => {
  const breed = plant(() => ({
    tell: (event) => (event.type === 'socket-bound' ? [] : [event]),
  }))
  const script = [after(0, deploy(service({ endpoints: [endpoint()] })))]
  expect(simulateScript(script, { breed }).failure).toMatchObject({
    class: 'liveness',
    checker: 'liveness',
    message: expect.stringContaining('shop to be called ready'),
  })
})

test('what is stuck comes loose after the heal: a stranger leaves, a paused node wakes', () => {
  const { failure } = simulateScript([
    after(0, { type: 'stranger', port: 8_000, forMs: 900_000_000 }),
    after(0, deploy(service({ endpoints: [endpoint()] }))),
    after(500, { type: 'pause', forMs: 900_000_000 }),
  ])
  expect(failure).toBeUndefined()
})

test('after a crash the next life ends the leftovers first, then runs everything again', () => {
  const records: { readonly kind: string }[] = []
  const { failure, seen } = simulateScript(
    [
      after(0, deploy(service({ replicas: 2, endpoints: [endpoint()] }))),
      after(5_000, { type: 'crash', downMs: 10 }),
      after(5_000, { type: 'client' }),
    ],
    { sink: (line) => records.push(JSON.parse(line)) },
  )
  expect(failure).toBeUndefined()
  expect(seen.get('change node-crashed')).toBe(1)
  expect(seen.get('command create-replica')).toBe(4)
  const kinds = records.map((each) => JSON.stringify(each))
  const rebootedAt = kinds.findIndex((each) => each.includes('"life":2'))
  const reapedAt = kinds.findIndex((each, at) => at > rebootedAt && each.includes('"reaped":[1000'))
  const againAt = kinds.findIndex((each, at) => at > rebootedAt && each.includes('create-replica'))
  expect(reapedAt).toBeGreaterThan(rebootedAt)
  expect(againAt).toBeGreaterThan(reapedAt)
})
