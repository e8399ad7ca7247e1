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

export function expiryConcern(
  { validFromDate, validToDate }: Pick<X509Certificate, 'validFromDate' | 'validToDate'>,
  now: Date,
): string | undefined {
  if (now >= validToDate) return `expired on ${dayOf(validToDate)}, and in use all the same`
  if (now >= validFromDate) return undefined
  return `valid from ${dayOf(validFromDate)} on, and in use all the same`
}

export const dayOf = (date: Date): string => date.toISOString().slice(0, 10)
