/** Which names a directory of certificates has pairs for, without looking into them. */
import { readdirSync } from 'node:fs'
import { fileReasonOf, pairPartOf } from '../tls/certificate-files.ts'

export type FoundCertificates =
  | { readonly ok: true; readonly names: ReadonlySet<string> }
  | { readonly ok: false; readonly reason: string }

/** A certificate alone, or a key, is for nobody. Whether the two belong together is not looked at. */
export function findCertificates(directory: string): FoundCertificates {
  const parts = { certificate: new Set<string>(), key: new Set<string>() }
  try {
    for (const file of readdirSync(directory)) {
      const part = pairPartOf(file)
      if (part !== undefined) parts[part.kind].add(part.name)
    }
  } catch (error) {
    return { ok: false, reason: fileReasonOf(error) }
  }
  const { certificate, key } = parts
  return { ok: true, names: new Set([...certificate].filter((name) => key.has(name))) }
}
