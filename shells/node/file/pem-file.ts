/** Files of certificates that a peer is checked by: there, and fit for it. */
import { X509Certificate } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { getSystemErrorMessage } from 'node:util'

/** Completes `KEY ...`; undefined for one or more certificates in PEM form. */
export function pemFault(file: string): string | undefined {
  let text: string
  try {
    const found = statSync(file)
    // reading a pipe would wait for whoever writes into it
    if (!found.isFile()) return `cannot be used: ${file} is not a file`
    if (found.size > BYTES_MAX) return `cannot be used: ${file} is larger than 1 MiB`
    text = readFileSync(file, 'utf8')
  } catch (error) {
    return `cannot be read: ${file}: ${systemText(error)}`
  }
  const blocks = text.match(CERTIFICATE) ?? []
  if (blocks.length === 0) return `cannot be used: ${file} holds no certificate in PEM form`
  return blocks.every(isReadable)
    ? undefined
    : `cannot be used: ${file} holds a certificate that cannot be read`
}

function isReadable(block: string): boolean {
  try {
    return new X509Certificate(block) !== undefined
  } catch {
    return false
  }
}

/** As the system says it, without the name of the call. */
export function systemText(error: unknown): string {
  const { errno, message } = error as NodeJS.ErrnoException
  return typeof errno === 'number' ? getSystemErrorMessage(errno) : message
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g
const BYTES_MAX = 1024 ** 2
