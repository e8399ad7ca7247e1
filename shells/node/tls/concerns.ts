/** What is worth knowing of a certificate that is used all the same. */
import type { X509Certificate } from 'node:crypto'
import { DEFAULT_NAME } from './certificate-files.ts'

/** It is in use for `name`: would a client that asks for that take it? */
export function nameConcern(name: string, leaf: X509Certificate): string | undefined {
  if (name === DEFAULT_NAME) return undefined
  const asked = name.replace(/^\*/, 'some')
  if (leaf.checkHost(asked) !== undefined) return undefined
  return `the certificate is not for this name: ${leaf.subjectAltName ?? 'it has no names'}`
}

/** About the time it is good for. The stages come one after the other, and each is news once. */
export interface ExpiryConcern {
  readonly stage: 'early' | 'two-weeks' | 'three-days' | 'over'
  readonly text: string
}

export function expiryConcern(
  { validFromDate, validToDate }: Pick<X509Certificate, 'validFromDate' | 'validToDate'>,
  now: Date,
): ExpiryConcern | undefined {
  const leftMs = validToDate.getTime() - now.getTime()
  const day = dayOf(validToDate)
  if (leftMs <= 0) return { stage: 'over', text: `expired on ${day}, and in use all the same` }
  if (now < validFromDate) {
    const text = `valid from ${dayOf(validFromDate)} on, and in use all the same`
    return { stage: 'early', text }
  }
  if (leftMs > 14 * DAY_MS) return undefined
  const stage = leftMs > 3 * DAY_MS ? 'two-weeks' : 'three-days'
  return { stage, text: `expires on ${day}, ${leftOf(leftMs)}` }
}

function leftOf(ms: number): string {
  const days = Math.floor(ms / DAY_MS)
  if (days === 0) return 'in less than a day'
  return `in ${days} ${days === 1 ? 'day' : 'days'}`
}

export const dayOf = (date: Date): string => date.toISOString().slice(0, 10)

const DAY_MS = 86_400_000
