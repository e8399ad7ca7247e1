import fs from 'node:fs'
import path from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readJournal, replay, replayLines } from '../../../../shells/node/journal/replay.ts'
import { temporaryDirectory } from '../temporary-directory.ts'
import { counterSubject } from './counter-machine.ts'
import { JournalledCounter, journalFiles, linesOf } from './journalled-counter.ts'

const verify = (where: string, wrongFrom?: number) => replay(where, counterSubject(wrongFrom), '1')

/** Ten events in one file. */
function recorded(): { directory: string; file: string } {
  const directory = temporaryDirectory()
  new JournalledCounter({ directory }).add(10).close()
  return { directory, file: journalFiles(directory)[0]! }
}

describe('replay', () => {
  test('names the first record that a changed machine answers differently', () => {
    const { directory, file } = recorded()
    const report = verify(directory, 4)
    expect(report).toMatchObject({ outcome: 'different', events: 3, lives: 1 })
    expect(report.difference).toMatchObject({
      file,
      line: 5, // the boot record, three that are right, and the fourth
      now: 1_040,
      event: { type: 'add', by: 1 },
      commands: [{ type: 'total', total: 5 }],
    })
    expect(report.difference?.expected).not.toBe(report.difference?.got)
    const [verdict, where, ...more] = replayLines(report)
    expect(verdict).toMatch(/^different: 3 events/)
    expect(where).toBe(`${file}:5: the first record that differs, at 1040 ms`)
    expect(more).toContain('  command  {"type":"total","total":5}')
  })

  test('a machine that throws where it did not before is a difference', () => {
    const { file } = recorded()
    const subject = counterSubject()
    const report = replay(
      file,
      {
        ...subject,
        restore: (snapshot, now) => {
          const machine = subject.restore(snapshot, now)
          const step = machine.step.bind(machine)
          let steps = 0
          machine.step = (event, at, out) => {
            steps += 1
            if (steps === 2) throw new Error('new bug')
            step(event, at, out)
          }
          return machine
        },
      },
      '1',
    )
    expect(report.difference).toMatchObject({ line: 3, got: 'throws new bug' })
  })

  test('takes a file, the journal directory or the state directory', () => {
    const state = temporaryDirectory()
    new JournalledCounter({ directory: path.join(state, 'journal') }).add(3).close()
    for (const where of [
      state,
      path.join(state, 'journal'),
      path.join(state, 'journal', '000001.jsonl'),
    ]) {
      expect(verify(where)).toMatchObject({ outcome: 'identical', events: 3 })
    }
  })

  test('a record that is missing is damage, and what follows waits for a snapshot', () => {
    const { directory, file } = recorded()
    const lines = linesOf(file)
    fs.writeFileSync(file, `${lines.toSpliced(4, 1).join('\n')}\n`)
    new JournalledCounter({ directory, boot: 'two' }).add(2).close()
    const report = verify(directory)
    expect(report).toMatchObject({ outcome: 'damaged', events: 3 + 2, lives: 2 })
    expect(report.notes).toMatchObject([
      { kind: 'damaged', line: 5, text: 'record 5 follows, where record 4 belongs' },
    ])
  })

  test('a file whose earlier neighbours were deleted replays from its own snapshot', () => {
    const directory = temporaryDirectory()
    const limits = { bytesMax: 1_000, filesMax: 50 }
    new JournalledCounter({ directory, limits }).add(60).close()
    const files = journalFiles(directory)
    for (const file of files.slice(0, 4)) fs.rmSync(file)
    expect(verify(directory)).toMatchObject({ outcome: 'identical', notes: [] })
    fs.rmSync(files[6]!)
    const hole = verify(directory)
    expect(hole.outcome).toBe('damaged')
    expect(hole.notes).toHaveLength(1)
  })

  test('a version that is not ours is noted', () => {
    const { directory } = recorded()
    expect(replay(directory, counterSubject(), '2')).toMatchObject({
      outcome: 'identical',
      notes: [{ kind: 'version', line: 1, text: 'written by version 1, replayed by 2' }],
    })
  })

  test('a snapshot that the machine cannot take is damage', () => {
    const { directory } = recorded()
    const subject = counterSubject()
    const restore = () => {
      throw new Error('version 9 is not known here')
    }
    expect(replay(directory, { ...subject, restore }, '1')).toMatchObject({
      outcome: 'damaged',
      notes: [{ line: 1, text: 'the snapshot cannot be restored: version 9 is not known here' }],
    })
  })

  test('no byte can change unnoticed', () => {
    const { directory, file } = recorded()
    const whole = fs.readFileSync(file)
    // The last line feed alone cannot be told from a torn record.
    const where = fc.nat(whole.length - 2)
    fc.assert(
      fc.property(where, fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const changed = Buffer.from(whole)
        changed[at] = changed[at]! ^ flip
        fs.writeFileSync(file, changed)
        const { outcome, notes } = verify(directory)
        expect(outcome).toBe('damaged')
        const line = whole.subarray(0, at).toString('latin1').split('\n').length
        expect(notes[0]).toMatchObject({ kind: 'damaged', file, line })
      }),
      { numRuns: 300 },
    )
  })

  test('whatever a file holds is reported, never thrown', () => {
    const file = path.join(temporaryDirectory(), '000001.jsonl')
    const text = fc.oneof(
      fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
      fc.array(fc.json()).map((lines) => Buffer.from(`${lines.join('\n')}\n`)),
    )
    fc.assert(
      fc.property(text, (content) => {
        fs.writeFileSync(file, content)
        expect(['damaged', 'empty']).toContain(verify(file).outcome)
        replayLines(verify(file))
      }),
    )
  })

  test('what is not there is reported', () => {
    const nowhere = path.join(temporaryDirectory(), 'nowhere')
    expect(verify(nowhere)).toMatchObject({
      outcome: 'damaged',
      notes: [{ kind: 'damaged', file: nowhere, line: 0, text: expect.stringContaining('ENOENT') }],
    })
    expect(verify(path.dirname(nowhere))).toMatchObject({ outcome: 'empty', files: 0 })
  })

  test('a file of garbage gives a short report', () => {
    const file = path.join(temporaryDirectory(), 'garbage.jsonl')
    fs.writeFileSync(file, 'x\n'.repeat(5_000))
    const { notes } = verify(file)
    expect(notes).toHaveLength(101)
    expect(notes.at(-1)?.text).toBe('and 4900 more like these')
  })

  test('shows records and what is in their way, in order', () => {
    const { directory, file } = recorded()
    fs.appendFileSync(file, 'rubbish\n{"check')
    const items = [...readJournal(directory)]
    expect(items).toHaveLength(13)
    expect(items[0]).toMatchObject({ type: 'record', line: 1, record: { type: 'boot' } })
    expect(items[11]).toMatchObject({ type: 'note', note: { kind: 'damaged', line: 12 } })
    expect(items[12]).toMatchObject({ type: 'note', note: { kind: 'torn', line: 13 } })
  })
})
