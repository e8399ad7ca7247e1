import { globSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { defaultUdpConfig } from '../../../core/udp/config.ts'
import { zeroCounters } from '../../../core/udp/counters.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const page = readFileSync(`${ROOT}/docs/udp.md`, 'utf8')

test('the page says when each reason to close and to drop applies', () => {
  const { closed, dropped } = zeroCounters()
  const byTime = 'lifetime, if that is over; else half-open or idle'
  expect(page).toContain(byTime)
  for (const reason of Object.keys(closed)) {
    if (!byTime.includes(reason)) expect(page).toContain(`(${reason})`)
  }
  for (const reason of Object.keys(dropped)) {
    expect(page).toContain(`(${reason})`)
  }
})

test('the page speaks of every setting', () => {
  for (const key of Object.keys(defaultUdpConfig)) {
    const spoken = key === 'trustedProxies' ? 'trusted proxies' : key
    expect(page, key).toContain(spoken)
  }
})

test('each weakness of the reference has a test, or a line that says where it is seen to', () => {
  const files = globSync('test/**/*.test.ts', { cwd: ROOT })
  const titles = files.map((file) => readFileSync(`${ROOT}/${file}`, 'utf8')).join('\n')
  const tested = new Set([...titles.matchAll(/udp W(\d+): /g)].map(([, number]) => Number(number)))
  const told = new Set([...page.matchAll(/\bW(\d+)\b/g)].map(([, number]) => Number(number)))
  const numbers = Array.from({ length: 38 }, (_, i) => i + 1)
  expect(numbers.filter((number) => !told.has(number))).toEqual([])
  const elsewhere = [18, 22, 31, 33, 34, 35, 36, 38]
  expect(numbers.filter((number) => !tested.has(number) && !elsewhere.includes(number))).toEqual([])
})
