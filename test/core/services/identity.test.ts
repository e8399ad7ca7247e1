import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isCrashLoop, recentCrashes, restartDelayMs } from '../../../core/services/backoff.ts'
import {
  parseReplicaId,
  parseServiceKey,
  replicaId,
  replicaLabel,
  serviceKey,
} from '../../../core/services/identity.ts'

const names = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?$/)

test('services W36: ids parse back to their parts', () => {
  fc.assert(
    fc.property(names, names, fc.nat(), fc.nat(), (deployment, service, number, incarnation) => {
      const name = { deployment, service, number, incarnation }
      expect(parseReplicaId(replicaId(name))).toEqual(name)
      expect(parseServiceKey(serviceKey(deployment, service))).toEqual({ deployment, service })
    }),
  )
  const id = replicaId({ deployment: 'a', service: 'b-on-c', number: 12, incarnation: 3 })
  expect(replicaLabel(id)).toBe('b-on-c-12')
})

test('the first end is answered at once, the next ones later and later, a loop every 30 s', () => {
  expect([1, 2, 3, 4, 5, 6, 7].map(restartDelayMs)).toEqual([
    0, 500, 1_000, 2_000, 4_000, 30_000, 30_000,
  ])
  expect([5, 6].map(isCrashLoop)).toEqual([false, true])
})

test('ends are forgotten after 300 s, and no more are kept than matter', () => {
  expect(recentCrashes([0, 1, 299_999], 300_000)).toEqual([1, 299_999])
  expect(recentCrashes([1, 2, 3, 4, 5, 6, 7, 8], 10)).toEqual([3, 4, 5, 6, 7, 8])
})
