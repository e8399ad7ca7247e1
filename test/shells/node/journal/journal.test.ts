import fs from 'node:fs'
import path from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { replay } from '../../../../shells/node/journal/replay.ts'
import { temporaryDirectory } from '../temporary-directory.ts'
import { counterSubject } from './counter-machine.ts'
import { JournalledCounter, journalFiles, linesOf } from './journalled-counter.ts'

const verify = (where: string) => replay(where, counterSubject(), '1')
const identical = { outcome: 'identical', notes: [] }

describe('a life in the journal', () => {
  test('begins with a boot record, then one record per event, for its owner alone', () => {
    const directory = path.join(temporaryDirectory(), 'journal')
    const life = new JournalledCounter({ directory })
    life.turn({ type: 'add', by: 2 })
    life.turn({ type: 'remind', inMs: 5 }, { type: 'add', by: 1 })
    const [file = ''] = journalFiles(directory)
    expect(path.basename(file)).toBe('000001.jsonl')
    expect(fs.statSync(file).mode & 0o777).toBe(0o600)
    const records = linesOf(file).map((line) => JSON.parse(line).record)
    expect(records).toEqual([
      {
        type: 'boot',
        n: 0,
        version: '1',
        boot: 'boot-1',
        seed: 7,
        at: '2024-05-06T07:08:09.000Z',
        now: 1_000,
        digest: 'cbf29ce484222325',
        snapshot: { total: 0, remainsMs: null },
      },
      { type: 'event', n: 1, now: 1_010, event: { type: 'add', by: 2 }, digest: records[1].digest },
      {
        type: 'event',
        n: 2,
        now: 1_020,
        event: { type: 'remind', inMs: 5 },
        digest: records[1].digest, // caused nothing
      },
      { type: 'event', n: 3, now: 1_020, event: { type: 'add', by: 1 }, digest: records[3].digest },
    ])
    expect(new Set(records.map(({ digest }) => digest)).size).toBe(3)
    expect(life.said).toEqual([])
    life.close()
  })

  test('is on disk before its commands run, in one write per turn', () => {
    const directory = temporaryDirectory()
    let writes = 0
    const writeSync = ((...args: Parameters<typeof fs.writeSync>) => {
      writes += 1
      return fs.writeSync(...args)
    }) as typeof fs.writeSync
    const life = new JournalledCounter({ directory, disk: { writeSync } })
    const before = writes
    life.turn({ type: 'add', by: 1 }, { type: 'add', by: 1 }, { type: 'add', by: 1 })
    expect(writes - before).toBe(1)
    expect(linesOf(journalFiles(directory)[0]!)).toHaveLength(4)
    life.close()
  })

  test('follows another in the same file, and both replay', () => {
    const directory = temporaryDirectory()
    new JournalledCounter({ directory, boot: 'one' }).add(3).close()
    new JournalledCounter({ directory, boot: 'two' }).add(4).close()
    expect(journalFiles(directory)).toHaveLength(1)
    expect(verify(directory)).toMatchObject({ ...identical, lives: 2, events: 7, commands: 7 })
  })

  test('ends with the event its machine could not take, which fails again in a replay', () => {
    const directory = temporaryDirectory()
    const life = new JournalledCounter({ directory }).add(1)
    life.journal.fault(life.now, { type: 'break' }, new Error('the counter broke'))
    life.close()
    const { outcome, notes } = verify(directory)
    expect(outcome).toBe('identical')
    expect(notes).toMatchObject([
      { kind: 'fault', line: 3, text: 'the machine fails again: the counter broke' },
    ])
  })
})

describe('a torn tail', () => {
  test('cut at any byte of the last record is dropped on open, with a notice', () => {
    const directory = temporaryDirectory()
    new JournalledCounter({ directory, boot: 'one' }).add(3, 'über ß').close()
    const [file = ''] = journalFiles(directory)
    const whole = fs.readFileSync(file)
    const lastLine = whole.lastIndexOf(10, whole.length - 2) + 1
    for (let end = lastLine; end < whole.length; end++) {
      fs.writeFileSync(file, whole.subarray(0, end))
      const torn = verify(directory)
      expect(torn).toMatchObject({ outcome: 'identical', events: 2 })
      expect(torn.notes.map(({ kind }) => kind)).toEqual(end === lastLine ? [] : ['torn'])
      const next = new JournalledCounter({ directory, boot: 'two' }).add(1)
      next.close()
      expect(next.said).toHaveLength(end === lastLine ? 0 : 1)
      if (end > lastLine) expect(next.said[0]).toContain(`torn record of ${end - lastLine} bytes`)
      expect(verify(directory)).toMatchObject({ ...identical, lives: 2, events: 3 })
    }
  })

  test('a file that is nothing but a torn boot record is begun again', () => {
    const directory = temporaryDirectory()
    fs.writeFileSync(path.join(directory, '000004.jsonl'), '{"check":"')
    const life = new JournalledCounter({ directory }).add(2)
    life.close()
    expect(life.said).toEqual([expect.stringContaining('torn record of 10 bytes')])
    expect(journalFiles(directory)).toHaveLength(1)
    expect(verify(directory)).toMatchObject({ ...identical, events: 2 })
  })

  test.each([
    ['zeros', Buffer.alloc(5_000)],
    ['garbage with line feeds', Buffer.from('hello\nworld\n')],
    ['half a megabyte without a line feed', Buffer.alloc(500_000, 0x7b)],
  ])('a newest file of %s is moved aside', (_name, content) => {
    const directory = temporaryDirectory()
    new JournalledCounter({ directory, boot: 'one' }).add(1).close()
    fs.writeFileSync(path.join(directory, '000002.jsonl'), content)
    const life = new JournalledCounter({ directory, boot: 'two' }).add(1)
    life.close()
    expect(life.said).toEqual([expect.stringMatching(/000002\.jsonl is garbage, now .*\.broken-/)])
    expect(verify(directory)).toMatchObject({ ...identical, lives: 2, events: 2 })
  })

  test('a directory under the name of the newest file is moved aside', () => {
    const directory = temporaryDirectory()
    fs.mkdirSync(path.join(directory, '000002.jsonl'))
    const life = new JournalledCounter({ directory }).add(1)
    life.close()
    expect(life.said).toEqual([expect.stringContaining('000002.jsonl is no file')])
    expect(verify(directory)).toMatchObject({ ...identical, events: 1 })
  })
})

describe('rotation', () => {
  const limits = { bytesMax: 2_000, filesMax: 3 }

  test('keeps the newest files, each of which replays by itself', () => {
    const directory = temporaryDirectory()
    const life = new JournalledCounter({ directory, limits })
    life.turn({ type: 'remind', inMs: 100_000 })
    life.add(200).close()
    const files = journalFiles(directory)
    expect(files).toHaveLength(3)
    expect(Number.parseInt(path.basename(files[0]!), 10)).toBeGreaterThan(5)
    for (const file of files) {
      expect(verify(file)).toMatchObject({ ...identical, lives: 1 })
      expect(fs.statSync(file).size).toBeLessThan(3_500)
    }
    expect(verify(directory)).toMatchObject({ ...identical, lives: 1, files: 3 })
    expect(life.ran).toHaveLength(200)
  })

  test('a snapshot larger than a file still leaves room for events', () => {
    const directory = temporaryDirectory()
    const life = new JournalledCounter({ directory, limits: { bytesMax: 1_000, filesMax: 100 } })
    life.counter.padding = 'x'.repeat(3_000)
    life.turn({ type: 'remind', inMs: 1 })
    life.add(60).close()
    // Half of 1,000 bytes hold several events.
    expect(journalFiles(directory).length).toBeLessThan(25)
  })

  test('a snapshot that is not what the replay arrives at is a difference', () => {
    const directory = temporaryDirectory()
    const life = new JournalledCounter({ directory, limits: { ...limits, filesMax: 100 } })
    life.add(10)
    life.counter.remindAt = 99_999 // behind the journal's back
    life.add(10).close()
    const { outcome, difference } = verify(directory)
    expect(outcome).toBe('different')
    expect(difference).toMatchObject({ line: 1, event: 'snapshot' })
    expect(difference?.got).toContain('"remainsMs":null')
  })

  test('goes on in the old file while the next one cannot be made', () => {
    const directory = temporaryDirectory()
    let full = false
    const openSync = ((...args: Parameters<typeof fs.openSync>) => {
      if (full) throw Object.assign(new Error('EMFILE: too many open files'), { code: 'EMFILE' })
      return fs.openSync(...args)
    }) as typeof fs.openSync
    const life = new JournalledCounter({ directory, limits, disk: { openSync } })
    full = true
    life.add(300)
    expect(journalFiles(directory)).toHaveLength(1)
    expect(life.said).toEqual([expect.stringContaining('cannot begin its next file (EMFILE')])
    full = false
    life.wait().add(1).close()
    expect(journalFiles(directory)).toHaveLength(2)
    expect(verify(directory)).toMatchObject({ ...identical, events: 301 })
  })
})

describe('a journal that cannot be written', () => {
  /** Writes to /dev/full, which is what a full disk answers, after `room` more bytes. */
  function fullDisk() {
    const fd = fs.openSync('/dev/full', 'w')
    const state = { full: false, room: 0 }
    const writeSync = ((to: number, bytes: Buffer, from: number, length: number) => {
      if (!state.full) return fs.writeSync(to, bytes, from, length)
      if (state.room === 0) return fs.writeSync(fd, bytes, from, length)
      const fitting = Math.min(length, state.room)
      state.room -= fitting
      return fs.writeSync(to, bytes, from, fitting)
    }) as typeof fs.writeSync
    return { state, disk: { writeSync }, close: () => fs.closeSync(fd) }
  }

  test('does not stop the node: said once, then a gap with a snapshot to go on from', () => {
    const directory = temporaryDirectory()
    const { state, disk, close } = fullDisk()
    const life = new JournalledCounter({ directory, disk }).add(5)
    state.full = true
    state.room = 20 // half a record is written first
    life.add(1).wait().add(3)
    expect(life.ran).toHaveLength(9)
    expect(life.said).toEqual([expect.stringMatching(/^error journal: cannot be written \(ENOSPC/)])
    state.full = false
    life.wait().add(2).close()
    expect(life.said[1]).toBe('warn journal: written again, 4 events are missing from it')
    const report = verify(directory)
    expect(report).toMatchObject({ outcome: 'identical', events: 7, lives: 1 })
    expect(report.notes).toMatchObject([
      { kind: 'gap', line: 7, text: expect.stringMatching(/^4 events were not written \(ENOSPC/) },
    ])
    close()
  })

  test('from the very first record: the life begins with the gap', () => {
    const directory = temporaryDirectory()
    const { state, disk, close } = fullDisk()
    state.full = true
    const life = new JournalledCounter({ directory, disk: { ...disk } }).add(3)
    state.full = false
    life.wait().add(2).close()
    expect(verify(directory)).toMatchObject({ outcome: 'identical', events: 2, lives: 1 })
    close()
  })

  test('and can be again only at the end: the gap is written by close', () => {
    const directory = temporaryDirectory()
    const { state, disk, close } = fullDisk()
    const life = new JournalledCounter({ directory, disk }).add(1)
    state.full = true
    life.add(2)
    state.full = false
    life.close()
    expect(verify(directory).notes).toMatchObject([{ kind: 'gap', line: 3 }])
    close()
  })

  test('its directory deleted: a new one, with a gap record first', () => {
    const directory = path.join(temporaryDirectory(), 'journal')
    const life = new JournalledCounter({ directory }).add(2)
    fs.rmSync(directory, { recursive: true })
    life.add(3).close()
    expect(life.said).toEqual([
      expect.stringContaining('000001.jsonl was removed'),
      'warn journal: written again, 0 events are missing from it',
    ])
    expect(verify(directory)).toMatchObject({ outcome: 'identical', events: 3, lives: 1 })
  })

  test('its directory replaced by a file: moved aside', () => {
    const directory = path.join(temporaryDirectory(), 'journal')
    const life = new JournalledCounter({ directory }).add(2)
    fs.rmSync(directory, { recursive: true })
    fs.writeFileSync(directory, 'in the way')
    life.add(3).close()
    expect(life.said.join('\n')).toMatch(/is no directory, now .*journal\.broken-/)
    expect(verify(directory)).toMatchObject({ outcome: 'identical', events: 3 })
  })

  test('a directory that can never be made: the node runs without a journal', () => {
    const life = new JournalledCounter({ directory: '/proc/weir/journal' }).add(3)
    life.wait().add(3).close()
    expect(life.ran).toHaveLength(6)
    expect(life.said).toHaveLength(1)
  })

  test('whatever fails whenever: nothing is lost silently, and the rest replays', () => {
    const fail = fc.record({
      call: fc.constantFrom('writeSync', 'openSync', 'ftruncateSync', 'statSync', 'unlinkSync'),
      from: fc.nat(60),
      times: fc.integer({ min: 1, max: 30 }),
      partly: fc.boolean(),
    })
    const limits = { bytesMax: 2_000, filesMax: 100 }
    const root = temporaryDirectory()
    fc.assert(
      fc.property(fc.array(fail, { maxLength: 3 }), fc.nat(3), (fails, waits) => {
        const directory = fs.mkdtempSync(path.join(root, 'fail-'))
        let turn = 0
        const failing = (call: string) =>
          fails.find(
            (each) => each.call === call && turn >= each.from && turn < each.from + each.times,
          )
        const disk = Object.fromEntries(
          (['writeSync', 'openSync', 'ftruncateSync', 'statSync', 'unlinkSync'] as const).map(
            (call) => [
              call,
              (...args: unknown[]) => {
                const hit = failing(call)
                const real = fs[call] as (...args: unknown[]) => unknown
                if (hit === undefined) return real(...args)
                if (call === 'writeSync' && hit.partly && (args[3] as number) > 1) {
                  return fs.writeSync(args[0] as number, args[1] as Buffer, args[2] as number, 1)
                }
                throw new Error(`${call} fails`)
              },
            ],
          ),
        )
        const life = new JournalledCounter({ directory, disk, limits })
        for (; turn < 60; turn++) {
          if (turn % 10 < waits) life.wait()
          life.add(1)
        }
        turn = 1_000
        life.wait().add(1).close()
        expect(life.ran).toHaveLength(61)
        const report = verify(directory)
        expect(report.outcome).not.toBe('different')
        if (report.outcome === 'damaged') {
          // Only where a half-written record could neither be cut off nor its file be left.
          expect(fails.some(({ call }) => call === 'ftruncateSync')).toBe(true)
        }
        const lost = report.notes
          .filter(({ kind }) => kind === 'gap')
          .map(({ text }) => Number.parseInt(text, 10))
          .reduce((sum, each) => sum + each, 0)
        if (report.outcome === 'identical') expect(report.events + lost).toBe(61)
        fs.rmSync(directory, { recursive: true })
      }),
      { numRuns: 60 },
    )
  })
})
