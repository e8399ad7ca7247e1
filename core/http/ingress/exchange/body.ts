/**
 * Bodies on their way, in either direction: read as one side frames them (a length, chunks, the end
 * of a connection or of a stream), written as the other wants them.
 */

import { CHUNK_END, chunkHead, lastChunk, TRAILERS_KEPT } from '../../framing/chunked.ts'
import type { Fields } from '../../head/fields.ts'
import { CHUNKED } from '../../head/meaning.ts'
import { Client, END_DUE, type Out, type Upstream } from '../state.ts'

/**
 * Takes bytes of the body from `at` on and writes them on, behind `prefix` (which is written in any
 * case). Returns where what follows the body begins, or the length of `bytes`; -1 where it is
 * nothing that can be read, or more than was told. With `source.left` at 0 the body is over, and its
 * end was written.
 */
export function relay(
  source: Client | Upstream,
  sink: Client | Upstream,
  prefix: string,
  bytes: Uint8Array,
  at: number,
  out: Out,
): number {
  const { left } = source
  if (left === 0 || at === bytes.length) {
    if (prefix !== '') write(sink, prefix, undefined, out)
    return at
  }
  if (left === END_DUE) return -1
  if (left === CHUNKED && source.reader !== undefined) {
    return relayChunks(source, sink, prefix, bytes, at, out)
  }
  const to = left < 0 || left >= bytes.length - at ? bytes.length : at + left
  writeData(sink, prefix, bytes, at, to, out)
  source.moved += to - at
  if (left > 0) {
    source.left = left - (to - at)
    if (source.left === 0) {
      // What a stream says of its length is not its end (RFC 9113, 8.1): another takes its trailers.
      if (isStream(source) && isStream(sink)) source.left = END_DUE
      else endBody(sink, '', undefined, out)
    }
  } else if (sink.writesChunks) {
    write(sink, CHUNK_END, undefined, out)
  }
  return to
}

/** The body of `source` is over, because its connection or its stream is. */
export function relayEnd(
  source: Client | Upstream,
  sink: Client | Upstream,
  trailers: Fields | undefined,
  out: Out,
): void {
  source.left = 0
  endBody(sink, '', trailers, out)
}

export function write(
  sink: Client | Upstream,
  head: string,
  bytes: Uint8Array | undefined,
  out: Out,
): void {
  if (sink instanceof Client) out.push({ type: 'write-client', client: sink.id, head, bytes })
  else out.push({ type: 'write-upstream', upstream: sink.id, head, bytes })
}

/** What came in one read goes out as one chunk. */
function relayChunks(
  source: Client | Upstream,
  sink: Client | Upstream,
  prefix: string,
  bytes: Uint8Array,
  at: number,
  out: Out,
): number {
  const chunks = source.chunks!
  const spans: number[] = []
  const to = chunks.read(bytes, at, spans)
  let size = 0
  for (let each = 0; each < spans.length; each += 2) size += spans[each + 1]! - spans[each]!
  source.moved += size
  let head = prefix
  if (size > 0 && sink.writesChunks) head += chunkHead(size)
  for (let each = 0; each < spans.length; each += 2) {
    write(sink, head, bytes.subarray(spans[each], spans[each + 1]), out)
    head = ''
  }
  if (size > 0 && sink.writesChunks) head = CHUNK_END
  if (chunks.isDone) {
    source.left = 0
    endBody(sink, head, chunks.trailers, out)
  } else if (head !== '') {
    write(sink, head, undefined, out)
  }
  return chunks.fault === undefined ? to : -1
}

function writeData(
  sink: Client | Upstream,
  prefix: string,
  bytes: Uint8Array,
  at: number,
  to: number,
  out: Out,
): void {
  const head = sink.writesChunks ? prefix + chunkHead(to - at) : prefix
  write(sink, head, to - at === bytes.length ? bytes : bytes.subarray(at, to), out)
}

/** `head` goes before it. */
function endBody(
  sink: Client | Upstream,
  head: string,
  trailers: Fields | undefined,
  out: Out,
): void {
  const last = sink.writesChunks ? head + lastChunk(trailers) : head
  if (last !== '') write(sink, last, undefined, out)
  if (sink.reader !== undefined) return
  const fields = trailers?.pairs(TRAILERS_KEPT) ?? NO_FIELDS
  if (sink instanceof Client) {
    if (fields.length > 0) out.push({ type: 'write-client-trailers', client: sink.id, fields })
    else out.push({ type: 'end-client', client: sink.id })
  } else if (fields.length > 0) {
    out.push({ type: 'write-upstream-trailers', upstream: sink.id, fields })
  } else {
    out.push({ type: 'end-upstream', upstream: sink.id })
  }
}

const isStream = ({ reader }: Client | Upstream): boolean => reader === undefined

const NO_FIELDS: readonly string[] = []
