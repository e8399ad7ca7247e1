import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  type DesiredService,
  type ObservedSlot,
  type Plan,
  planService,
} from '../../../core/services/planner.ts'

const NOW = 100_000

const slot = (number: number, more: Partial<ObservedSlot> = {}): ObservedSlot => ({
  number,
  role: 'default',
  revision: 1,
  state: 'ready',
  readyAt: 0,
  startAt: 0,
  isolated: false,
  standsIn: false,
  ...more,
})

const desired = (count: number, more: Partial<DesiredService> = {}): DesiredService => ({
  roles: new Array<string>(count).fill('default'),
  revision: 1,
  surgeMax: 1,
  unavailableMax: 0,
  readyMinMs: 2_000,
  ...more,
})

const numbersOf = (plan: Plan) => ({
  start: plan.start.map((each) => each.number),
  stop: plan.stop.map((each) => each.number),
})

interface Row {
  readonly name: string
  readonly want: DesiredService
  readonly have: readonly ObservedSlot[]
  readonly then: { readonly start: number[]; readonly stop: number[] }
}

const ROWS: readonly Row[] = [
  {
    name: 'an empty service starts all its slots at once',
    want: desired(3),
    have: [],
    then: { start: [1, 2, 3], stop: [] },
  },
  {
    name: 'services W15: what is as wanted is left alone',
    want: desired(3),
    have: [slot(1), slot(2), slot(3)],
    then: { start: [], stop: [] },
  },
  {
    name: 'services W4: a hole is refilled and nobody else is touched',
    want: desired(3),
    have: [slot(1), slot(3)],
    then: { start: [2], stop: [] },
  },
  {
    name: 'services W5: a surplus of any role is removed, highest number first',
    want: desired(2, { roles: ['primary', 'read'] }),
    have: [slot(1, { role: 'primary' }), slot(2, { role: 'read' }), slot(3, { role: 'read' })],
    then: { start: [], stop: [3] },
  },
  {
    name: 'a service that is not wanted stops all of it',
    want: desired(0),
    have: [slot(1), slot(2), slot(3, { state: 'coming' })],
    then: { start: [], stop: [3, 2, 1] },
  },
  {
    name: 'one that is leaving is waited for, not stopped twice and not replaced beside itself',
    want: desired(2),
    have: [slot(1), slot(2, { state: 'leaving' })],
    then: { start: [], stop: [] },
  },
  {
    name: 'services W12: an isolated slot stays empty',
    want: desired(2),
    have: [slot(1), slot(2, { state: 'empty', isolated: true })],
    then: { start: [], stop: [] },
  },
  {
    name: 'services W16: an update first starts a stand-in and stops nobody',
    want: desired(3, { revision: 2 }),
    have: [slot(1), slot(2), slot(3)],
    then: { start: [4], stop: [] },
  },
  {
    name: 'with the stand-in ready and proved, the lowest old replica goes',
    want: desired(3, { revision: 2 }),
    have: [
      slot(1),
      slot(2),
      slot(3),
      slot(4, { standsIn: true, revision: 2, readyAt: NOW - 2_000 }),
    ],
    then: { start: [], stop: [1] },
  },
  {
    name: 'a stand-in that has just become ready is not counted on yet',
    want: desired(3, { revision: 2 }),
    have: [
      slot(1),
      slot(2),
      slot(3),
      slot(4, { standsIn: true, revision: 2, readyAt: NOW - 1_999 }),
    ],
    then: { start: [], stop: [] },
  },
  {
    name: 'services W16: a new version that never gets ready pauses the update',
    want: desired(2, { revision: 2 }),
    have: [
      slot(1),
      slot(2),
      slot(3, { standsIn: true, revision: 2, state: 'empty', startAt: NOW + 30_000 }),
    ],
    then: { start: [], stop: [] },
  },
  {
    name: 'old replicas that do not serve are replaced at once',
    want: desired(2, { revision: 2 }),
    have: [slot(1, { state: 'unhealthy' }), slot(2, { state: 'coming' })],
    then: { start: [], stop: [1, 2] },
  },
  {
    name: 'without surge one is stopped first',
    want: desired(2, { revision: 2, surgeMax: 0 }),
    have: [slot(1), slot(2)],
    then: { start: [], stop: [1] },
  },
  {
    name: 'when all are new, the stand-in stays until every slot has proved itself',
    want: desired(2),
    have: [slot(1), slot(2, { readyAt: NOW - 1_999 }), slot(3, { standsIn: true })],
    then: { start: [], stop: [] },
  },
  {
    name: 'an ordinary slot that is not wanted any more goes at once, proved others or not',
    want: desired(1),
    have: [slot(1, { readyAt: NOW }), slot(2)],
    then: { start: [], stop: [2] },
  },
  {
    name: 'then it goes',
    want: desired(2),
    have: [slot(1), slot(2, { readyAt: NOW - 2_000 }), slot(3, { standsIn: true })],
    then: { start: [], stop: [3] },
  },
  {
    name: 'fewer and newer at once: the surplus goes, the floor holds',
    want: desired(2, { revision: 2 }),
    have: [slot(1), slot(2), slot(3), slot(4), slot(5)],
    then: { start: [], stop: [5, 4, 3] },
  },
  {
    name: 'a slot whose role changed is replaced',
    want: desired(2, { roles: ['primary', 'primary'] }),
    have: [slot(1, { role: 'primary' }), slot(2, { role: 'read' })],
    then: { start: [3], stop: [] },
  },
]

for (const row of ROWS) {
  test(row.name, () => expect(numbersOf(planService(row.want, row.have, NOW))).toEqual(row.then))
}

test('a pause is waited out: the plan says when to look again', () => {
  const have = [slot(1, { state: 'empty', startAt: NOW + 500 }), slot(2)]
  const plan = planService(desired(2), have, NOW)
  expect(plan).toEqual({ start: [], stop: [], wakeAt: NOW + 500 })
  expect(numbersOf(planService(desired(2), have, NOW + 500)).start).toEqual([1])
})

const states = fc.constantFrom('empty', 'coming', 'ready', 'unhealthy', 'leaving' as const)

const slots = fc
  .uniqueArray(
    fc.record({
      number: fc.integer({ min: 1, max: 8 }),
      revision: fc.integer({ min: 1, max: 2 }),
      state: states,
      readyAt: fc.constantFrom(0, NOW - 10),
      startAt: fc.constantFrom(0, NOW + 1_000),
      standsIn: fc.boolean(),
    }),
    { selector: (each) => each.number },
  )
  .map((all) => all.map((each) => slot(each.number, each)).sort((a, b) => a.number - b.number))

const wants = fc.record({
  count: fc.integer({ min: 0, max: 6 }),
  revision: fc.constant(2),
  surgeMax: fc.integer({ min: 0, max: 2 }),
  unavailableMax: fc.integer({ min: 0, max: 2 }),
})

test('property: a plan starts only empty slots, stops only live ones, and each at most once', () => {
  fc.assert(
    fc.property(wants, slots, ({ count, ...more }, have) => {
      const plan = planService(desired(count, more), have, NOW)
      const byNumber = new Map(have.map((each) => [each.number, each]))
      const touched = [...plan.start, ...plan.stop].map((each) => each.number)
      expect(new Set(touched).size).toBe(touched.length)
      for (const { number } of plan.start) {
        expect(byNumber.get(number)?.state ?? 'empty').toBe('empty')
        expect(byNumber.get(number)?.startAt ?? 0).toBeLessThanOrEqual(NOW)
        expect(number).toBeLessThanOrEqual(count + more.surgeMax)
      }
      for (const { number } of plan.stop) {
        expect(['coming', 'ready', 'unhealthy']).toContain(byNumber.get(number)?.state)
      }
      if (plan.wakeAt !== undefined) expect(plan.wakeAt).toBeGreaterThan(NOW)
    }),
  )
})

test('property: an update never takes the last replicas it may not take', () => {
  fc.assert(
    fc.property(wants, slots, ({ count, ...more }, have) => {
      const plan = planService(desired(count, more), have, NOW)
      const stopped = new Set(plan.stop.map((each) => each.number))
      const isReady = (each: ObservedSlot) => each.state === 'ready'
      const floor =
        count - (more.surgeMax === 0 ? Math.max(1, more.unavailableMax) : more.unavailableMax)
      // Surplus that no update holds is what the operator asked to go.
      const held = have.filter(
        (each) => each.number <= count || (each.standsIn && each.number <= count + more.surgeMax),
      )
      const before = held.filter(isReady).length
      const after = held.filter((each) => isReady(each) && !stopped.has(each.number)).length
      const outdated = have.some(
        (each) =>
          each.number <= count &&
          each.revision !== 2 &&
          ['coming', 'ready', 'unhealthy'].includes(each.state),
      )
      if (outdated) expect(after).toBeGreaterThanOrEqual(Math.min(before, floor))
    }),
  )
})

test('property 1 of services 10.1: from any state, planning again and again ends as wanted', () => {
  fc.assert(
    fc.property(wants, slots, ({ count, ...more }, have) => {
      const want = desired(count, more)
      let now = NOW
      let world = have
      for (let round = 0; round < 60; round++) {
        const plan = planService(want, world, now)
        now += 5_000
        world = settle(world, plan, now)
      }
      expect(world.map(({ number, revision, state }) => ({ number, revision, state }))).toEqual(
        Array.from({ length: count }, (_, index) => ({
          number: index + 1,
          revision: 2,
          state: 'ready',
        })),
      )
    }),
  )
})

/** A kind world: what was started is ready by the next round, what was stopped is gone. */
function settle(world: readonly ObservedSlot[], plan: Plan, now: number): ObservedSlot[] {
  const stopped = new Set(plan.stop.map((each) => each.number))
  const started = new Set(plan.start.map((each) => each.number))
  const kept = world
    .filter((each) => !stopped.has(each.number) && !started.has(each.number))
    .filter((each) => each.state !== 'leaving')
    .map(
      (each): ObservedSlot =>
        each.state === 'coming' || each.state === 'unhealthy'
          ? { ...each, state: 'ready', readyAt: now }
          : each,
    )
    .filter((each) => each.state !== 'empty' || each.startAt > now)
  const fresh = [...started].map((number) =>
    slot(number, { revision: 2, readyAt: now, standsIn: true }),
  )
  return [...kept, ...fresh].sort((a, b) => a.number - b.number)
}
