/** Notices about what may happen ten thousand times a second: each seldom, and none of it uncounted. */
import { Alarm } from './alarm.ts'

/**
 * Says it now if nothing was said of `subject` (a listener, and what befell it) for ten seconds; else
 * when they are over, with how often it happened meanwhile, in the words of the last time.
 */
export type SaySeldom = (subject: string, words: Words) => void

export type Words = (times: number) => string

interface Subject {
  readonly saidAt: number
  /** Since then. */
  times: number
  words: Words
}

export class SeldomNotices {
  readonly #notice: (text: string) => void
  /** Said within the last ten seconds, longest ago first. */
  readonly #subjects = new Map<string, Subject>()
  readonly #alarm = new Alarm(() => this.#onAlarm())
  /** There was no room for their subject. */
  #leftOut = 0

  constructor(notice: (text: string) => void) {
    this.#notice = notice
  }

  readonly say: SaySeldom = (subject, words) => {
    const known = this.#subjects.get(subject)
    if (known !== undefined) {
      known.times += 1
      known.words = words
    } else if (this.#subjects.size < SUBJECTS_MAX) {
      this.#sayNow(subject, words, 1)
    } else {
      this.#leftOut += 1
    }
  }

  /** What is still to be said is not. */
  stop(): void {
    this.#alarm.clear()
  }

  #sayNow(subject: string, words: Words, times: number): void {
    const saidAt = performance.now()
    this.#subjects.set(subject, { saidAt, times: 0, words })
    this.#alarm.set(saidAt + INTERVAL_MS)
    this.#notice(words(times))
  }

  #onAlarm(): void {
    const leftOut = this.#leftOut
    this.#leftOut = 0
    if (leftOut > 0) this.#notice(`${leftOut} more of them, of other listeners`)
    const now = performance.now()
    for (const [subject, { saidAt, times, words }] of this.#subjects) {
      if (saidAt + INTERVAL_MS > now) return this.#alarm.set(saidAt + INTERVAL_MS)
      this.#subjects.delete(subject) // to the end, if there is more to say
      if (times > 0) this.#sayNow(subject, words, times)
    }
  }
}

/** `a connection`, `3 connections`. */
export const someOf = (times: number, what: string): string =>
  times === 1 ? `a ${what}` : `${times} ${what}s`

/** `a connection was`, `3 connections were`. */
export const someWere = (times: number, what: string): string =>
  `${someOf(times, what)} ${times === 1 ? 'was' : 'were'}`

const INTERVAL_MS = 10_000
/** A listener has a handful. */
const SUBJECTS_MAX = 1_000
