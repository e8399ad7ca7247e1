/**
 * Puts pairs into the directory of certificates. Two files cannot be replaced as one: so the pair is
 * kept whole in `.acme/NAME.pem` until both are in place, and whoever finds it there goes on.
 */
import { randomBytes, type X509Certificate } from 'node:crypto'
import { access, constants, mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import path from 'node:path'
import { messageOf } from '../journal/format.ts'
import { pairPartOf } from '../tls/certificate-files.ts'
import { judgePair } from '../tls/pair.ts'
import { AcmeFailure } from './failure.ts'

export interface IssuedPair {
  /** PEM. */
  readonly key: string
  /** PEM: the certificate, then those that lead to a root. */
  readonly chain: string
}

export class PairFiles {
  readonly #directory: string
  /** Hidden from those who look for certificates. */
  readonly private: string

  constructor(directory: string) {
    this.#directory = directory
    this.private = path.join(directory, PRIVATE)
  }

  /** Fails when nothing can be put there: before anything is asked of a server. */
  async prepare(name: string): Promise<void> {
    if (pairPartOf(`${name}.crt`)?.name !== name) {
      throw new AcmeFailure('rejected', 'it is no name for a file')
    }
    await mkdir(this.private, { recursive: true, mode: 0o700 })
    await access(this.#directory, constants.W_OK | constants.X_OK)
  }

  /** A pair that was got and is not in its place. */
  async pending(name: string): Promise<IssuedPair | undefined> {
    const text = await readFile(this.#whole(name), 'utf8').catch(() => undefined)
    if (text === undefined) return undefined
    const at = text.indexOf('-----BEGIN CERTIFICATE-----')
    return { key: text.slice(0, Math.max(0, at)), chain: text.slice(Math.max(0, at)) }
  }

  /** The key first: a pair that does not match is not used, and the one before is. */
  async place(name: string, { key, chain }: IssuedPair): Promise<void> {
    await writeWhole(this.#whole(name), `${key.trimEnd()}\n${chain}`)
    const parts = [
      [`${name}.key`, key],
      [`${name}.crt`, chain],
    ] as const
    for (const [file, text] of parts) {
      await writeWhole(path.join(this.#directory, file), text, path.join(this.private, file))
    }
    await rm(this.#whole(name), { force: true })
  }

  /** What the last life of the node began, before anybody looks at the directory. Never fails. */
  async finish(notice: (level: 'warn', text: string) => void): Promise<void> {
    const files = await readdir(this.private).catch(() => [])
    for (const file of files) {
      const whole = path.join(this.private, file)
      if (file.endsWith(TEMPORARY)) await rm(whole, { force: true }).catch(() => {})
      const [, name] = /^(.+)\.pem$/.exec(file) ?? []
      if (name === undefined) continue
      try {
        const pair = await this.pending(name)
        if (pair !== undefined && isUsable(name, pair)) await this.place(name, pair)
        else await rm(whole, { force: true })
      } catch (error) {
        notice('warn', `acme: ${whole} cannot be put into place: ${messageOf(error)}`)
      }
    }
  }

  #whole(name: string): string {
    return path.join(this.private, `${name}.pem`)
  }
}

const isUsable = (name: string, pair: IssuedPair): boolean => {
  try {
    return leafOf(name, pair, 0) !== undefined
  } catch {
    return false
  }
}

/** Throws an `AcmeFailure` unless clients that ask for `name` now would take it. */
export function leafOf(name: string, { key, chain }: IssuedPair, nowMs: number): X509Certificate {
  const judged = judgePair(
    {
      certificate: { name: 'the certificate', text: chain },
      key: { name: 'the key', text: key },
    },
    randomBytes(TICKET_KEYS_BYTES),
  )
  if (!judged.ok) throw new AcmeFailure('certificate', judged.problem)
  const { leaf } = judged.pair
  if (leaf.checkHost(name, { subject: 'never' }) === undefined) {
    const names = leaf.subjectAltName ?? 'nothing'
    throw new AcmeFailure('certificate', `it is for ${names}`)
  }
  if (leaf.validToDate.getTime() <= nowMs) {
    throw new AcmeFailure('certificate', `it ended at ${leaf.validToDate.toISOString()}`)
  }
  return leaf
}

/** 0600, all of it or nothing. `beside`: where it is written first, on the same file system. */
export async function writeWhole(file: string, text: string, beside = file): Promise<void> {
  const temporary = `${beside}${TEMPORARY}`
  const handle = await open(temporary, 'w', 0o600)
  try {
    await handle.chmod(0o600) // it may have been there
    await handle.writeFile(text)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(temporary, file)
}

const PRIVATE = '.acme'
const TEMPORARY = '.new'
/** Nobody connects with it. */
const TICKET_KEYS_BYTES = 48
