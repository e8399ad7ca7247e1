import { expect, test } from 'vitest'
import {
  deploymentNameFault,
  ROLE_NAME,
  serviceNameFault,
  variableNameFault,
} from '../../../../core/spec/grammar/names.ts'

test('services W73: a service name is a DNS label', () => {
  for (const name of ['a', 'web', 'web-2', '2', 'x'.repeat(63)]) {
    expect(serviceNameFault(name)).toBeUndefined()
  }
  expect(serviceNameFault('a.b')).toMatch(/not a DNS label.*for instance a-b/)
  expect(serviceNameFault('')).toMatch(/it is empty/)
  expect(serviceNameFault('x'.repeat(64))).toMatch(/too long for a name \(64 characters\)/)
  for (const name of ['-a', 'a-', 'A', 'a_b', 'a/b', 'a#b', 'é', 'a\n']) {
    expect(serviceNameFault(name)).toMatch(/not a DNS label/)
  }
})

test('a deployment name is 3-63 letters, digits and hyphens', () => {
  for (const name of ['abc', 'Shop-prod', '1-2', 'x'.repeat(63)]) {
    expect(deploymentNameFault(name)).toBeUndefined()
  }
  for (const name of ['', 'ab', '-abc', 'a.b.c', 'x'.repeat(64), 'shöp', 'abc\n']) {
    expect(deploymentNameFault(name)).toMatch(/must be 3-63 letters/)
  }
})

test('a role is up to 30 lower-case letters, digits and inner hyphens', () => {
  for (const role of ['a', 'read-only', `a${'b'.repeat(29)}`]) expect(role).toMatch(ROLE_NAME)
  for (const role of ['', '1', 'A', 'a-', '-a', 'a_b', 'a'.repeat(31)]) {
    expect(role).not.toMatch(ROLE_NAME)
  }
})

test('a variable has a name without = and NUL', () => {
  expect(variableNameFault('my.var')).toBeUndefined()
  for (const name of ['', 'a=b', 'a\0'])
    expect(variableNameFault(name)).toMatch(/must not be empty/)
})
