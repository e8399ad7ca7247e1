import { X509Certificate } from 'node:crypto'
import fs from 'node:fs'
import { describe, expect, onTestFinished, test } from 'vitest'
import { expiryConcern, nameConcern } from '../../../../shells/node/tls/concerns.ts'
import { fixture, place } from './fixtures.ts'
import { open, placed, waitFor } from './opened.ts'

const leaf = (name: string) => new X509Certificate(fixture(`${name}.crt`))

test.each<[now: string, concern: string | undefined]>([
  ['2019-12-31T23:59:59Z', 'early: valid from 2020-01-01 on, and in use all the same'],
  ['2020-01-01T00:00:00Z', undefined],
  ['2020-12-17T23:59:59Z', undefined],
  ['2020-12-18T00:00:00Z', 'two-weeks: expires on 2021-01-01, in 14 days'],
  ['2020-12-28T23:59:59Z', 'two-weeks: expires on 2021-01-01, in 3 days'],
  ['2020-12-29T00:00:00Z', 'three-days: expires on 2021-01-01, in 3 days'],
  ['2020-12-30T12:00:00Z', 'three-days: expires on 2021-01-01, in 1 day'],
  ['2020-12-31T23:59:59Z', 'three-days: expires on 2021-01-01, in less than a day'],
  ['2021-01-01T00:00:00Z', 'over: expired on 2021-01-01, and in use all the same'],
])('at %s: %s', (now, expected) => {
  const concern = expiryConcern(leaf('old.example'), new Date(now))
  expect(concern && `${concern.stage}: ${concern.text}`).toBe(expected)
})

describe('as days pass', () => {
  const LATER = '2020-06-01T00:00:00Z'
  const SAID = [
    'warn old.example: expires on 2021-01-01, in 10 days',
    'warn old.example: expires on 2021-01-01, in 2 days',
    'warn old.example: expired on 2021-01-01, and in use all the same',
  ]

  /** What is said by the end of each of these days. */
  async function saidOn(days: readonly string[], between: (directory: string) => void) {
    const directory = placed({ 'old.example': 'old.example', 'a.example': 'a.example' })
    let [now, looks] = [new Date(LATER), 0]
    const clock = (): Date => {
      looks += 1
      return now
    }
    const { said } = await open(directory, { pollMs: 5 }, { now: clock })
    expect(said).toEqual([]) // nothing at the start
    between(directory)
    const byDay: string[][] = []
    for (const day of days) {
      now = new Date(day)
      const before = looks
      await waitFor(() => expect(looks).toBeGreaterThan(before + 2))
      byDay.push(said.splice(0))
    }
    return byDay
  }

  const DAYS = ['2020-12-15', '2020-12-21T12:00Z', '2020-12-22', '2020-12-29T12:00Z', '2020-12-30']

  test('each stage is said once', async () => {
    const said = await saidOn([...DAYS, '2021-01-01', '2021-02-01'], () => {})
    expect(said).toEqual([[], [SAID[0]], [], [SAID[1]], [], [SAID[2]], []])
  })

  test('also when the directory is gone, and what was in it is in use', async () => {
    const said = await saidOn([...DAYS, '2021-01-01'], (directory) => {
      const away = `${directory}.away`
      fs.renameSync(directory, away)
      onTestFinished(() => fs.rmSync(away, { recursive: true, force: true }))
    })
    expect(said[0]).toEqual([expect.stringContaining('what is in use stays so')])
    expect(said.slice(1)).toEqual([[SAID[0]], [], [SAID[1]], [], [SAID[2]]])
  })

  test('at the start, and again of another certificate that comes in its place', async () => {
    const directory = placed({ 'old.example': 'old.example' })
    const now = (): Date => new Date('2020-12-21T12:00Z')
    const opened = await open(directory, {}, { now })
    expect(opened.said.splice(0)).toEqual([SAID[0]])
    place(directory, { 'old.example': 'a.example' })
    await waitFor(() => expect(opened.said).toContain('info old.example: in use, until 2120-01-01'))
    place(directory, { 'old.example': 'old.example' })
    await waitFor(() => expect(opened.said).toContain(SAID[0]))
  })
})

test.each<[name: string, file: string, concern: string | undefined]>([
  ['a.example', 'a.example', undefined],
  ['b.example', 'a.example', 'the certificate is not for this name: DNS:a.example'],
  ['*.wild.example', '_.wild.example', undefined],
  ['b.wild.example', '_.wild.example', undefined],
  ['*.a.example', 'a.example', 'the certificate is not for this name: DNS:a.example'],
  ['ca.example', 'ca', 'the certificate is not for this name: it has no names'],
  ['default', 'a.example', undefined],
])('%s from %s: %s', (name, file, concern) => {
  expect(nameConcern(name, leaf(file))).toBe(concern)
})
