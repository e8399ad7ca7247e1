import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import {
  isChecked,
  isComing,
  isLeaving,
  isRunning,
  type ReplicaState,
  type ReplicaStep,
  replicaLife,
  replicaTransition,
  STATE_TIMEOUT_MS,
} from '../../../core/services/replica-life.ts'

const STATES = Object.keys(STATE_TIMEOUT_MS) as ReplicaState[]
const STEPS: readonly ReplicaStep[] = [
  'created',
  'create-failed',
  'started',
  'start-failed',
  'alive',
  'addressed',
  'passed',
  'failed',
  'exited',
  'stop',
  'abort',
  'drained',
  'timeout',
  'removed',
]

const edges = () =>
  STATES.flatMap((from) =>
    STEPS.flatMap((step) => {
      const next = replicaTransition(from, step)
      return next === undefined ? [] : [{ from, step, ...next }]
    }),
  )

test('the happy path, with what each step asks for', () => {
  const path: readonly ReplicaStep[] = [
    'created',
    'started',
    'alive',
    'addressed',
    'passed',
    'stop',
    'drained',
    'exited',
    'removed',
  ]
  let state: ReplicaState = 'creating'
  const asked = path.map((step) => {
    const next = replicaTransition(state, step)
    if (next === undefined) throw new Error(`${step} means nothing while ${state}`)
    state = next.state
    return next.actions
  })
  expect(asked).toEqual([
    ['start'],
    ['verify'],
    ['resolve'],
    ['check'],
    [],
    ['drain'],
    ['stop'],
    ['remove'],
    ['forget'],
  ])
  expect(state).toBe('removed')
})

test('a drain that lasts too long is cut before the program is stopped', () => {
  expect(replicaTransition('draining', 'timeout')).toEqual({
    state: 'stopping',
    actions: ['cut', 'stop'],
  })
})

test('a kill that shows no effect is repeated, and so is a removal', () => {
  expect(replicaTransition('killing', 'timeout')).toEqual({ state: 'killing', actions: ['kill'] })
  expect(replicaTransition('removing', 'timeout')).toEqual({
    state: 'removing',
    actions: ['remove'],
  })
})

test('from every state a replica can be got rid of', () => {
  for (const state of STATES) {
    if (state === 'removed') continue
    const seen = new Set<ReplicaState>([state])
    for (const from of seen) {
      for (const step of ['stop', 'abort', 'timeout', 'drained', 'exited', 'removed'] as const) {
        const next = replicaTransition(from, step)
        if (next !== undefined) seen.add(next.state)
      }
    }
    expect(seen).toContain('removed')
  }
})

test('services 10.1 property 4: once a program may run, only its removal forgets it', () => {
  for (const { from, state, actions } of edges()) {
    if (state === 'removed') expect(from).toBe('removing')
    if (state === 'removing') expect(actions).toContain('remove')
  }
})

test('a state that asks a question has a time limit', () => {
  for (const state of STATES) {
    const waits = ['checking', 'ready', 'unhealthy', 'removed'].includes(state)
    expect(STATE_TIMEOUT_MS[state] === 'none').toBe(waits)
    if (!waits) expect(replicaTransition(state, 'timeout')).toBeDefined()
  }
})

test('every state is exactly one of coming, checked or leaving', () => {
  for (const state of STATES) {
    const isWatchedOnly = isChecked(state) && state !== 'checking'
    expect([isComing(state), isWatchedOnly, isLeaving(state)].filter(Boolean)).toHaveLength(1)
    if (state === 'ready') expect(isRunning(state)).toBe(true)
  }
})

test('the page draws exactly the edges of the chart', () => {
  const page = readFileSync(new URL('../../../docs/services.md', import.meta.url), 'utf8')
  const drawn = [...page.matchAll(/^\| `([a-z]+)` \| `([a-z-]+)` \| `([a-z]+)` \|/gm)].map(
    ([, from, step, to]) => `${from} ${step} ${to}`,
  )
  const real = edges().map((each) => `${each.from} ${each.step} ${each.state}`)
  expect(drawn.toSorted()).toEqual(real.toSorted())
  expect(Object.keys(replicaLife.states).toSorted()).toEqual(STATES.toSorted())
})
