import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { main } from '../../sim/run.ts'
import { simulate } from '../../sim/simulate.ts'

let out = ''
let err = ''

beforeEach(() => {
  out = ''
  err = ''
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    out += String(text)
    return true
  })
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    err += String(text)
    return true
  })
})

afterEach(() => {
  vi.restoreAllMocks()
})

test('a sweep says how many seeds, how fast, and what was never seen', async () => {
  expect(await main(['--seeds', '0..9', '--steps', '100'])).toBe(0)
  expect(out).toMatch(/^10 seeds, \d+ steps in [\d.]+ s \(\d+ steps\/s\), \d+ with excused/m)
  expect(out).toMatch(/^never seen: .*/m)
  expect(out).toMatch(/^reasons seen: .*notice deploying \d+/m)
})

test('one seed says its options and its hash', async () => {
  expect(await main(['--seed', '7', '--steps=150'])).toBe(0)
  const { hash, steps } = simulate(7, 150)
  expect(out).toContain('seed 7: {"seed":7,"steps":150,')
  expect(out).toContain(`ok: ${steps} steps, trace ${hash}`)
})

test('results come as JSON, one line each', async () => {
  expect(await main(['--seed', '7', '--steps', '150', '--json'])).toBe(0)
  expect(JSON.parse(out)).toMatchObject({ type: 'run', seed: 7, ok: true, options: { steps: 150 } })
  out = ''
  expect(await main(['--json', '--seeds', '3..5', '--steps', '50'])).toBe(0)
  expect(JSON.parse(out)).toMatchObject({ type: 'summary', seeds: 3, failures: 0 })
})

test('a trace goes to a file, one record a line, and changes nothing', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'weir-sim-'))
  try {
    const file = join(directory, 'trace.jsonl')
    expect(await main(['--seed', '3', '--steps', '120', '--trace', file])).toBe(0)
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n')
    expect(lines.length).toBeGreaterThan(100)
    expect(JSON.parse(lines[0] ?? '')).toEqual({
      kind: 'change',
      at: 1_000_000,
      change: { type: 'node-booted', life: 1 },
    })
    expect(out).toContain(simulate(3, 120).hash)
  } finally {
    rmSync(directory, { recursive: true })
  }
})

test('one of the three worlds is run on request', async () => {
  expect(await main(['--seed', '7', '--steps', '150', '--only', 'udp'])).toBe(0)
  const { hash, steps } = simulate(7, 150, { only: 'udp' })
  expect(out).toContain(`ok: ${steps} steps, trace ${hash}`)
  out = ''
  expect(await main(['--seeds', '0..3', '--steps', '50', '--only=udp'])).toBe(0)
  expect(out).toMatch(/^never seen: (udp \S+ \S+(, )?)+$/m)
})

const WRONG: readonly { readonly words: readonly string[]; readonly says: RegExp }[] = [
  { words: ['--seeds', '5'], says: /--seeds takes A\.\.B with A not above B, not "5"/ },
  { words: ['--seeds', '5..3'], says: /not above B, not "5\.\.3"/ },
  { words: ['--steps', 'many'], says: /--steps takes a whole number, not "many"/ },
  { words: ['--trace'], says: /--trace needs --seed/ },
  { words: ['--only', 'tcp'], says: /--only takes node, udp or http, not "tcp"/ },
  { words: ['--speed'], says: /unknown word "--speed"/ },
  {
    words: ['--seed', '1', '--trace', '/nowhere/at/all'],
    says: /cannot write \/nowhere\/at\/all: ENOENT/,
  },
]

for (const { words, says } of WRONG) {
  test(`a wrong call is told why: ${words.join(' ')}`, async () => {
    expect(await main(words)).toBe(2)
    expect(err).toMatch(says)
    expect(out).toBe('')
  })
}
