import fc from 'fast-check'
import { expect, test } from 'vitest'
import { PORT_REST_MS, ReplicaPorts } from '../../../../core/publish/host/replica-ports.ts'

const nobody = () => false

test('ports go round the range, and the seed says where they begin', () => {
  const ports = new ReplicaPorts({ from: 10, to: 13 }, 2)
  const leased = ['a', 'b', 'c', 'd', 'e'].map((owner) => ports.lease(owner, nobody, 0))
  expect(leased).toEqual([12, 13, 10, 11, undefined])
})

test('a port given back rests before it is given again', () => {
  const ports = new ReplicaPorts({ from: 10, to: 10 }, 0)
  ports.lease('a', nobody, 0)
  ports.release(10, 5)
  expect(ports.lease('b', nobody, 5 + PORT_REST_MS - 1)).toBeUndefined()
  expect(ports.lease('b', nobody, 5 + PORT_REST_MS)).toBe(10)
})

test('a port a listener owns is never leased', () => {
  const ports = new ReplicaPorts({ from: 10, to: 12 }, 0)
  expect(ports.lease('a', (port) => port < 12, 0)).toBe(12)
})

test('property: free, leased and resting make the range; no port has two owners; restore is the identity', () => {
  const steps = fc.array(
    fc.record({
      lease: fc.boolean(),
      pick: fc.nat(),
      waitMs: fc.constantFrom(0, 1, 30_000, 60_000),
    }),
    { maxLength: 80 },
  )
  fc.assert(
    fc.property(steps, fc.nat(), (script, seed) => {
      let ports = new ReplicaPorts({ from: 100, to: 107 }, seed)
      const model = new Map<number, { owner?: string; restsUntil: number }>()
      let now = 0
      script.forEach((step, index) => {
        now += step.waitMs
        const mine = [...model].filter(([, each]) => each.owner !== undefined).map(([port]) => port)
        if (step.lease) {
          const port = ports.lease(`r${index}`, nobody, now)
          const free =
            8 -
            [...model.values()].filter((each) => each.owner !== undefined || each.restsUntil > now)
              .length
          expect(port === undefined).toBe(free === 0)
          if (port === undefined) return
          const known = model.get(port)
          expect(known?.owner).toBeUndefined()
          expect(known?.restsUntil ?? 0).toBeLessThanOrEqual(now)
          model.set(port, { owner: `r${index}`, restsUntil: 0 })
        } else if (mine.length > 0) {
          const port = mine[step.pick % mine.length] as number
          ports.release(port, now)
          model.set(port, { restsUntil: now + PORT_REST_MS })
        }
        const snapshot = ports.snapshot(now)
        const restored = new ReplicaPorts({ from: 100, to: 107 }, 0)
        restored.restore(snapshot, now)
        expect(restored.snapshot(now)).toEqual(snapshot)
        ports = restored
      })
    }),
  )
})
