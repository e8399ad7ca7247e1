import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { SteadyOutput } from '../../../../shells/cli/screen/output.ts'

describe('output that never waits for its reader', () => {
  let directory: string
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'weir-output-'))
  })
  afterEach(() => rmSync(directory, { recursive: true, force: true }))

  test('everything arrives, in order', async () => {
    const path = join(directory, 'out')
    const descriptor = openSync(path, 'w')
    const output = new SteadyOutput(descriptor)
    for (let line = 0; line < 1_000; line++) output.write(`${line} 日本\n`)
    await output.flush(20_000)
    expect(output.busy).toBe(false)
    closeSync(descriptor)
    const lines = Array.from({ length: 1_000 }, (_, line) => `${line} 日本\n`)
    expect(readFileSync(path, 'utf8')).toBe(lines.join(''))
  })

  test('a reader that has gone away ends it quietly', async () => {
    // opened for reading only: every write fails
    const descriptor = openSync('/dev/null', 'r')
    const output = new SteadyOutput(descriptor)
    output.write('nobody')
    await output.flush(20_000)
    output.write('hears this')
    expect([output.busy, output.dropped]).toEqual([false, 0])
    closeSync(descriptor)
  })

  test('a stalled reader costs a bounded backlog, and the rest of the process goes on', async () => {
    const fifo = join(directory, 'fifo')
    await once(spawn('mkfifo', [fifo]), 'close')
    // both ends: it opens without waiting, and nobody ever reads
    const descriptor = openSync(fifo, 'r+')
    const output = new SteadyOutput(descriptor, 100_000)
    for (let write = 0; write < 30; write++) output.write('x'.repeat(10_000))
    expect(output.dropped).toBe(20)
    await output.flush(10)
    expect(output.busy).toBe(true)
    // room again: what waited goes out
    const reader = spawn('head', ['-c', '100000', fifo])
    let received = 0
    reader.stdout.on('data', (bytes: Buffer) => {
      received += bytes.length
    })
    await once(reader, 'close')
    await output.flush(20_000)
    expect([received, output.busy]).toEqual([100_000, false])
    closeSync(descriptor)
  })
})
