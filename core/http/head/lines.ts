/**
 * Reads what begins a message, or ends a chunked one: lines up to an empty one (RFC 9112, 2.1).
 * What one read brings whole is read where it lies; what comes in pieces is gathered first, and
 * looked at again only when a line is complete, so that single bytes cost no more than a few looks
 * at each. The verdict does not depend on where a message was cut.
 */
import type { HeadFault } from './fault.ts'
import { Fields, idOf } from './fields.ts'
import type { Latin1 } from './latin1.ts'
import { BLANK, COLON, CR, LF, OCTET, skip, TOKEN, VALUE } from './octets.ts'

export interface HeadLimits {
  /** From the first byte of the first line to the last of the empty one. */
  readonly headBytesMax: number
  /** Of one line, without its CRLF. */
  readonly lineBytesMax: number
  readonly fieldsMax: number
}

/** `more`: all bytes were taken, and it is not complete. */
export type Reading = 'more' | 'head' | 'refused'

export abstract class LinesReader {
  /** Index in the bytes last read, after what belongs to the head. Holds after `head`. */
  end = 0
  /** Holds after `refused`. */
  fault: HeadFault | undefined = undefined
  protected readonly fields = new Fields()
  /** Of the whole head, from its first line on, when it is complete. */
  protected text = ''
  /** Its fields are those of the head before it, with all that they mean. */
  protected isSame = false
  /** Index of its first byte, in the bytes being read. */
  protected start = 0
  readonly #latin1: Latin1
  /** Gathered of a head that is not complete, and how much of it. */
  #kept = NOTHING
  #length = 0
  /** Where the next line begins, counted from `start`; 0: the first. */
  #at = 0
  /** All after the first line of the head before this one, under which limits it was taken. */
  #section = ''
  #limits: HeadLimits | undefined = undefined
  /** Where it begins, counted from `start`. */
  #sectionFrom = 0
  /** Where the bytes end that `text` was made of already. */
  #guess = -1

  constructor(latin1: Latin1) {
    this.#latin1 = latin1
  }

  /** Nothing of a head was read yet; empty lines before it do not count. */
  get isEmpty(): boolean {
    return this.#length === 0
  }

  /** Takes bytes from that index on. After `refused` it takes nothing sensible any more. */
  read(bytes: Uint8Array, from: number, limits: HeadLimits): Reading {
    if (this.#length > 0) return this.#resume(bytes, from, limits)
    this.#at = 0
    const end = this.#lines(bytes, from, limits)
    if (end === MORE) this.#keep(bytes, this.start, bytes.length, limits)
    return this.#settle(bytes, end, limits)
  }

  /**
   * The first line, which begins at or after `from`: sets `start`, and returns the index after its
   * CRLF, or what `short` or `refuse` return.
   */
  protected abstract startLine(bytes: Uint8Array, from: number, limits: HeadLimits): number

  /** What it means: of whole lines only, with their text at hand. */
  protected abstract finish(): HeadFault | undefined

  protected refuse(fault: HeadFault): number {
    this.fault = fault
    return REFUSED
  }

  /** Where bytes end inside the line that begins at `from`. */
  protected short(bytes: Uint8Array, from: number, limits: HeadLimits, fault: HeadFault): number {
    const lineStop = from + limits.lineBytesMax + 2
    const headStop = this.start + limits.headBytesMax
    if (bytes.length >= Math.min(lineStop, headStop)) {
      return this.refuse(lineStop <= headStop || from === this.start ? fault : 'head-too-large')
    }
    return MORE
  }

  /** Where bytes of the line that begins at `from` may at most end. */
  protected stop(bytes: Uint8Array, from: number, limits: HeadLimits): number {
    return Math.min(bytes.length, from + limits.lineBytesMax + 2, this.start + limits.headBytesMax)
  }

  #lines(bytes: Uint8Array, from: number, limits: HeadLimits): number {
    this.start = from
    this.#guess = -1
    let at = from + this.#at
    if (this.#at === 0) {
      at = this.startLine(bytes, from, limits)
      if (at < 0) return at
      this.#sectionFrom = at - this.start
      this.isSame = this.#repeats(bytes, at, limits)
      if (this.isSame) return at + this.#section.length
      this.fields.clear()
      this.#limits = undefined
    }
    const { fields, start } = this
    const { fieldsMax, lineBytesMax } = limits
    const headStop = Math.min(bytes.length, start + limits.headBytesMax)
    for (;;) {
      const stop = Math.min(headStop, at + lineBytesMax + 2)
      const nameTo = skip(bytes, at, stop, TOKEN)
      if (nameTo === at || nameTo >= stop || bytes[nameTo] !== COLON) break
      const valueFrom = skip(bytes, nameTo + 1, stop, BLANK)
      const lineTo = skip(bytes, valueFrom, stop, VALUE)
      if (lineTo + 1 >= stop || bytes[lineTo] !== CR || bytes[lineTo + 1] !== LF) break
      let valueTo = lineTo
      while (valueTo > valueFrom && (OCTET[bytes[valueTo - 1]!]! & BLANK) !== 0) valueTo--
      if (fields.count >= fieldsMax) return this.refuse('too-many-fields')
      const id = idOf(bytes, at, nameTo)
      fields.mark(id, at - start, nameTo - start, valueFrom - start, valueTo - start)
      at = lineTo + 2
      fields.end = at - start
    }
    return this.#lastLine(bytes, at, limits)
  }

  /**
   * Whether fields follow as in the head before it: who keeps a connection mostly says the same again,
   * and one comparison of strings is a fraction of the cost of reading.
   */
  #repeats(bytes: Uint8Array, from: number, limits: HeadLimits): boolean {
    const end = from + this.#section.length
    if (limits !== this.#limits || end > bytes.length || end - this.start > limits.headBytesMax) {
      return false
    }
    // What does not end there is not worth a string.
    if (bytes[end - 1] !== LF || bytes[end - 3] !== LF) return false
    this.#guess = end
    this.text = this.#latin1(bytes, this.start, end)
    return this.text.slice(from - this.start) === this.#section
  }

  /** The line that ended the reading of fields: empty, cut short, or bad. */
  #lastLine(bytes: Uint8Array, from: number, limits: HeadLimits): number {
    const stop = this.stop(bytes, from, limits)
    const nameTo = skip(bytes, from, stop, TOKEN)
    const isNamed = nameTo > from && nameTo < stop && bytes[nameTo] === COLON
    const at = isNamed ? skip(bytes, nameTo, stop, VALUE) : nameTo
    if (at === stop || (bytes[at] === CR && at + 1 === stop)) {
      this.#at = from - this.start
      return this.short(bytes, from, limits, 'line-too-long')
    }
    if (bytes[at] === CR) {
      if (bytes[at + 1] !== LF) return this.refuse('line-end')
      return at === from ? at + 2 : this.refuse('field-name')
    }
    if (bytes[at] === LF) return this.refuse('line-end')
    if (isNamed) return this.refuse('field-value')
    return this.refuse(at === from && (OCTET[bytes[at]!]! & BLANK) !== 0 ? 'fold' : 'field-name')
  }

  #settle(bytes: Uint8Array, end: number, limits: HeadLimits): Reading {
    if (end === MORE) return 'more'
    if (end === REFUSED) return 'refused'
    this.end = end
    if (end !== this.#guess) this.text = this.#latin1(bytes, this.start, end)
    if (!this.isSame) {
      this.fields.text = this.text
      this.#section = this.text.slice(this.#sectionFrom)
    }
    this.fault = this.finish()
    this.#limits = this.fault === undefined ? limits : undefined
    return this.fault === undefined ? 'head' : 'refused'
  }

  #resume(bytes: Uint8Array, from: number, limits: HeadLimits): Reading {
    const before = this.#length
    this.#keep(bytes, from, bytes.length, limits)
    const kept = this.#kept.subarray(0, this.#length)
    const isLong = kept.length - this.#at >= Math.min(limits.lineBytesMax + 2, limits.headBytesMax)
    if (!isLong && kept.indexOf(LF, before) < 0 && kept.length < limits.headBytesMax) return 'more'
    const end = this.#lines(kept, 0, limits)
    if (end === MORE && this.start > 0) {
      kept.copyWithin(0, this.start)
      this.#length -= this.start
    }
    const reading = this.#settle(kept, end, limits)
    if (reading === 'more') return reading
    this.end += from - before
    this.#kept = NOTHING
    this.#length = 0
    return reading
  }

  /** No more than a head may have. */
  #keep(bytes: Uint8Array, from: number, to: number, limits: HeadLimits): void {
    const room = limits.headBytesMax + ROOM_BEFORE - this.#length
    const added = bytes.subarray(from, Math.min(to, from + room))
    const length = this.#length + added.length
    if (length > this.#kept.length) {
      const larger = new Uint8Array(Math.max(length, 2 * this.#kept.length, KEPT_BYTES_MIN))
      larger.set(this.#kept.subarray(0, this.#length))
      this.#kept = larger
    }
    this.#kept.set(added, this.#length)
    this.#length = length
  }
}

export const MORE = -1
export const REFUSED = -2

const NOTHING = new Uint8Array(0)
const KEPT_BYTES_MIN = 512
/** For empty lines before a head. */
const ROOM_BEFORE = 16
