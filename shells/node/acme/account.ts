/**
 * The node's accounts with ACME servers: one key in `.acme/account.key` beside the certificates, and
 * in `.acme/accounts.json` the URL each server gave it (RFC 8555, 7.3).
 */
import { createPrivateKey, generateKeyPairSync } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import path from 'node:path'
import { messageOf } from '../journal/format.ts'
import { AcmeFailure } from './failure.ts'
import { writeWhole } from './pair-files.ts'

export interface Account {
  readonly url: string
  /** As the server knows it. */
  readonly email: string
}

export class Accounts {
  /** `.acme`. */
  readonly #directory: string

  constructor(directory: string) {
    this.#directory = directory
  }

  /** PEM. Made when there is none; one that cannot be read is left as it is, and fails. */
  async key(): Promise<string> {
    const file = path.join(this.#directory, KEY)
    const text = await readIfThere(file)
    if (text === undefined) {
      const made = newKey()
      await writeWhole(file, made)
      return made
    }
    try {
      createPrivateKey(text)
      return text
    } catch (error) {
      throw new AcmeFailure('files', `${file} holds no key that can be read: ${messageOf(error)}`)
    }
  }

  async of(server: string): Promise<Account | undefined> {
    return (await this.#all())[server]
  }

  /** `account` undefined: there is none any more. */
  async remember(server: string, account: Account | undefined): Promise<void> {
    const { [server]: _, ...others } = await this.#all()
    const all = account === undefined ? others : { ...others, [server]: account }
    await writeWhole(path.join(this.#directory, ACCOUNTS), `${JSON.stringify(all, null, 2)}\n`)
  }

  /** Whatever is wrong with the file: servers know the account by its key, too. */
  async #all(): Promise<Readonly<Record<string, Account>>> {
    const text = await readIfThere(path.join(this.#directory, ACCOUNTS))
    try {
      const all: unknown = JSON.parse(text ?? '{}')
      return Object.fromEntries(Object.entries(all ?? {}).filter(([, each]) => isAccount(each)))
    } catch {
      return {}
    }
  }
}

/** PEM, of the kind that every server takes and every client (P-256). */
export const newKey = (): string =>
  generateKeyPairSync('ec', { namedCurve: 'P-256' })
    .privateKey.export({ type: 'pkcs8', format: 'pem' })
    .toString()

const isAccount = (value: unknown): value is Account =>
  typeof value === 'object' &&
  value !== null &&
  'url' in value &&
  typeof value.url === 'string' &&
  'email' in value &&
  typeof value.email === 'string'

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

const KEY = 'account.key'
const ACCOUNTS = 'accounts.json'
