/** Path prefixes as a file writes them: one spelling for each, the one that requests come to. */
import { quote } from '../schema/words.ts'
import { parseProbeBytes } from './probe-bytes.ts'

/** The beginning of a path (RFC 3986, 3.3), whatever else is wrong with it. */
export const PATH = /^\/[^\s?#]*$/

/** Completes `path ...`: what no request could match, or what had better be written otherwise. */
export function pathFault(written: string): string | undefined {
  const not = `not ${quote(written)}`
  if (!PATH.test(written)) {
    return /^[^\s/?#:*]+$/.test(written) ? `must begin with a slash: write /${written}` : undefined
  }
  if (/\*+$/.test(written)) {
    const prefix = withoutSlash(written.replace(/\*+$/, ''))
    return `must be a prefix without a star, ${not}; write ${prefix}, which is for all paths under it`
  }
  if (/[^!-~]/.test(written)) {
    return `must be written as requests have it, ${not}; write ${quote(encoded(written))}`
  }
  if (/\/\.{1,2}(\/|$)/.test(written)) {
    return `must not go through . or .., ${not}: no request that does is let through`
  }
  if (written.includes('//')) {
    return `must not have two slashes in a row, ${not}; write ${quote(written.replace(/\/+/g, '/'))}`
  }
  if (/[\\;]/.test(written)) {
    return `must not hold \\ or ;, ${not}: replicas do not agree on what these mean`
  }
  for (const [whole, digits] of written.matchAll(/%([\da-f]{2})?/gi)) {
    if (digits === undefined) return `has a % that begins no escape, ${quote(written)}; write %25`
    const character = String.fromCharCode(Number.parseInt(digits, 16))
    if (PLAIN.test(character)) {
      return `must be written without the escape ${whole}, ${not}; write ${character}`
    }
    if (MISLEADING.test(character)) return `must not hold ${whole}, ${not}`
  }
  return undefined
}

/** The one spelling of a path without fault: trailing slashes make no difference to a prefix. */
export const plainPath = (written: string): string =>
  withoutSlash(written.replace(/%[\da-f]{2}/g, (each) => each.toUpperCase()))

const withoutSlash = (path: string): string => path.replace(/\/+$/, '') || '/'

/** Escaped, what is not ASCII (RFC 3986, 2.5). */
const encoded = (written: string): string =>
  written.replace(/[^!-~]/gu, (character) => {
    const bytes = parseProbeBytes(character) ?? []
    return [...bytes].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('')
  })

/** What needs no escape in a segment (RFC 3986, 3.3). */
const PLAIN = /[A-Za-z0-9._~!$&'()*+,=:@-]/
/** What would begin another segment, or end it. */
const MISLEADING = /[/\\;\0]/
