/** A counter with a journal, driven as a pump drives a machine. */
import fs from 'node:fs'
import path from 'node:path'
import {
  Journal,
  type JournalDisk,
  type JournalLimits,
} from '../../../../shells/node/journal/journal.ts'
import { Counter, type CounterCommand, type CounterEvent } from './counter-machine.ts'

export interface LifeOptions {
  readonly directory: string
  readonly boot?: string
  readonly version?: string
  readonly limits?: JournalLimits
  readonly disk?: Partial<JournalDisk>
}

export class JournalledCounter {
  readonly counter = new Counter()
  readonly said: string[] = []
  readonly ran: CounterCommand[] = []
  readonly journal: Journal
  now = 1_000

  constructor({ directory, boot = 'boot-1', version = '1', limits, disk }: LifeOptions) {
    this.journal = new Journal({
      directory,
      life: { version, boot, seed: 7 },
      snapshot: (now) => this.counter.snapshot(now),
      log: (level, text) => this.said.push(`${level} ${text}`),
      wallClock: () => '2024-05-06T07:08:09.000Z',
      ...(limits === undefined ? {} : { limits }),
      disk: { ...fs, ...disk },
    })
    this.journal.begin(this.now)
  }

  /** One turn of a pump. */
  turn(...events: readonly CounterEvent[]): void {
    this.now += 10
    this.journal.ready(this.now)
    const commands: CounterCommand[] = []
    for (const event of events) {
      const caused: CounterCommand[] = []
      this.counter.step(event, this.now, caused)
      this.journal.record(this.now, event, caused)
      commands.push(...caused)
    }
    this.journal.flush(this.now)
    this.ran.push(...commands)
  }

  add(times: number, note?: string): this {
    for (let turn = 0; turn < times; turn++) {
      this.turn({ type: 'add', by: 1, ...(note === undefined ? {} : { note }) })
    }
    return this
  }

  /** Long enough for the journal to try again. */
  wait(): this {
    this.now += 60_000
    return this
  }

  close(): void {
    this.journal.close(this.now)
  }
}

export const journalFiles = (directory: string): string[] =>
  fs
    .readdirSync(directory)
    .sort()
    .map((name) => path.join(directory, name))

export const linesOf = (file: string): string[] =>
  fs.readFileSync(file, 'utf8').split('\n').slice(0, -1)
