import { expect, test } from 'vitest'
import { describeConflict, type PortClaim, PortLedger } from '../../../core/publish/ledger.ts'
import { serviceKey } from '../../../core/services/identity.ts'

const A = serviceKey('one', 'cache')
const B = serviceKey('two', 'cache')
const claim = (owner = A, port = 6379, namespace: 'tcp' | 'udp' = 'tcp'): PortClaim => ({
  namespace,
  port,
  owner,
})

test('proxy W36: a second owner is refused, and told who has the port', () => {
  const ledger = new PortLedger()
  ledger.claim(claim(A))
  const conflicts = ledger.conflicts([claim(B)], new Set())
  expect(conflicts).toEqual([{ namespace: 'tcp', port: 6379, owner: A, requester: B }])
  expect(describeConflict(conflicts[0] as never, false)).toBe(
    'port-conflict: tcp port 6379 belongs to one/cache, so two/cache cannot have it; choose another port or remove one/cache first',
  )
  expect(ledger.ownerOf('tcp', 6379)?.owner).toBe(A)
})

test('the same owner may claim again, and udp is apart from tcp', () => {
  const ledger = new PortLedger()
  ledger.claim(claim(A))
  expect(ledger.conflicts([claim(A), claim(B, 6379, 'udp')], new Set())).toEqual([])
})

test('two claims of one request conflict with each other', () => {
  expect(new PortLedger().conflicts([claim(A), claim(B)], new Set())).toHaveLength(1)
})

test('one that is leaving in the same deploy does not stand in the way', () => {
  const ledger = new PortLedger()
  ledger.claim(claim(A))
  expect(ledger.conflicts([claim(B)], new Set([A]))).toEqual([])
  ledger.claim(claim(B))
  ledger.release('tcp', 6379, A) // too late to take it from its new owner
  expect(ledger.ownerOf('tcp', 6379)?.owner).toBe(B)
})
