/**
 * The certificates this node shows as a TLS server: a directory of `NAME.crt` and `NAME.key`, read
 * at the start and again whenever it changes. Connections keep the one they began with.
 */
import { createHash, randomBytes } from 'node:crypto'
import tls from 'node:tls'
import { Data, Effect, type Scope } from 'effect'
import {
  DEFAULT_NAME,
  type Found,
  fileReasonOf,
  readCertificateFiles,
} from './certificate-files.ts'
import { dayOf, type ExpiryConcern, expiryConcern, nameConcern } from './concerns.ts'
import { type Judged, judgePair, type Pair, TLS_VERSION_MIN } from './pair.ts'
import { DirectoryWatch, type WatchTiming } from './watch.ts'

export interface Certificates {
  /**
   * For a client that asks for this server name (undefined: for none): of the name itself, else of
   * the wildcard in the place of its first label, else the default. Undefined: there is none.
   */
  contextFor(serverName: string | undefined): tls.SecureContext | undefined
  /**
   * For `new tls.TLSSocket(socket, { isServer: true, ...certificates.serverOptions() })`, where
   * the server name is not known yet: asks {@link contextFor} when it is.
   */
  serverOptions(): ServerOptions
  /** What is in use now, sorted by name. */
  names(): readonly CertificateInfo[]
}

export type ServerOptions = Required<Pick<tls.TLSSocketOptions, 'secureContext' | 'SNICallback'>>

export interface CertificateInfo {
  /** `example.com`, `*.example.com` or `default`. */
  readonly name: string
  readonly validFrom: Date
  readonly validTo: Date
  /** SHA-256 of the certificate, as openssl prints it. */
  readonly fingerprint: string
}

export interface CertificatesOptions {
  readonly directory: string
  readonly notice: (level: 'info' | 'warn', text: string) => void
  readonly timing?: CertificatesTiming
  /** What day it is; default: the system's. */
  readonly now?: () => Date
}

export interface CertificatesTiming extends WatchTiming {
  /** How long a pair may be half-way between two: what is wrong with it is said after that. */
  readonly settleMs: number
}

export class CertificatesUnusable extends Data.TaggedError('CertificatesUnusable')<{
  readonly path: string
  readonly reason: string
}> {
  override get message(): string {
    return `the certificates in ${this.path} cannot be used: ${this.reason}`
  }
}

/** Watches the directory until the scope ends. Fails when it cannot be read now. */
export const makeCertificates = (
  options: CertificatesOptions,
): Effect.Effect<Certificates, CertificatesUnusable, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.tryPromise({
      try: () => CertificateStore.open(options),
      catch: (error) =>
        new CertificatesUnusable({ path: options.directory, reason: fileReasonOf(error) }),
    }),
    (store) => Effect.promise(() => store.close()),
  )

/** What is known of one name. */
interface Entry {
  /** Of what was judged last, right or wrong. */
  digest: string
  /** In use. */
  pair: Pair | undefined
  /** Seen wrong, maybe half-way between two pairs: said when it is still so a moment later. */
  doubt: Doubt | undefined
  /** Said last about the days it is good for. */
  expiry: ExpiryConcern['stage'] | undefined
}

interface Doubt {
  readonly what: 'gone' | { readonly problem: string }
  readonly since: number
}

class CertificateStore implements Certificates {
  readonly #options: CertificatesOptions
  readonly #entries = new Map<string, Entry>()
  /** One for all, now and later, so that a client resumes its session whatever was swapped since. */
  readonly #ticketKeys = randomBytes(TICKET_KEYS_BYTES)
  /** Without a certificate. */
  readonly #bare: tls.SecureContext
  /** About files of nobody and about the directory itself, said already. */
  #said: ReadonlySet<string> = new Set()
  #watch: DirectoryWatch | undefined

  private constructor(options: CertificatesOptions) {
    this.#options = options
    this.#bare = tls.createSecureContext({
      minVersion: TLS_VERSION_MIN,
      ticketKeys: this.#ticketKeys,
    })
  }

  static async open(options: CertificatesOptions): Promise<CertificateStore> {
    const store = new CertificateStore(options)
    const { directory, timing } = options
    // Watched before it is read: what changes meanwhile is seen, after the first look.
    const watch = new DirectoryWatch({
      directory,
      look: () => first.then(() => store.#look()),
      ...(timing === undefined ? {} : { timing }),
    })
    const first = store.#read('first')
    try {
      await first
    } catch (error) {
      await watch.close().catch(() => {}) // a look that waited for the first
      throw error
    }
    store.#watch = watch
    return store
  }

  contextFor(serverName: string | undefined): tls.SecureContext | undefined {
    const name = serverName?.trim().toLowerCase().replace(/\.$/, '') ?? ''
    const entry = this.#inUse(name) ?? this.#inUse(wildcardOf(name)) ?? this.#inUse(DEFAULT_NAME)
    return entry?.context
  }

  serverOptions(): ServerOptions {
    return {
      // OpenSSL takes the keys of tickets from this one, also when the callback names another.
      secureContext: this.contextFor(undefined) ?? this.#bare,
      SNICallback: (serverName, answer) => answer(null, this.contextFor(serverName)),
    }
  }

  names(): readonly CertificateInfo[] {
    return [...this.#entries]
      .flatMap(([name, { pair }]) => (pair === undefined ? [] : [infoOf(name, pair)]))
      .toSorted((a, b) => (a.name < b.name ? -1 : 1))
  }

  async close(): Promise<void> {
    await this.#watch?.close()
  }

  #inUse(name: string): Pair | undefined {
    return this.#entries.get(name)?.pair
  }

  async #look(): Promise<void> {
    try {
      await this.#read('again')
    } catch (error) {
      const { directory } = this.#options
      this.#sayNew([`${directory} cannot be read: ${fileReasonOf(error)}; what is in use stays so`])
      this.#sayExpiries()
    }
  }

  async #read(time: 'first' | 'again'): Promise<void> {
    const { directory } = this.#options
    const { found, problems } = await readCertificateFiles(directory)
    this.#sayNew(found.size === 0 ? [`${directory} holds none`, ...problems] : problems)
    const settleMs = time === 'first' ? 0 : (this.#options.timing ?? defaultTiming).settleMs
    for (const [name, files] of found) this.#judge(name, files, time)
    for (const [name, entry] of [...this.#entries]) {
      if (!found.has(name)) this.#miss(entry)
      if (entry.doubt !== undefined) this.#confirm(name, entry, entry.doubt, settleMs)
    }
    this.#sayExpiries()
    const isInDoubt = [...this.#entries.values()].some(({ doubt }) => doubt !== undefined)
    if (isInDoubt) this.#watch?.lookIn(settleMs)
  }

  #judge(name: string, files: Found, time: 'first' | 'again'): void {
    const entry = this.#entries.get(name) ?? { ...NEW_ENTRY }
    this.#entries.set(name, entry)
    const digest = digestOf(files)
    if (digest === entry.digest) return
    entry.digest = digest
    const judged = judgeFound(files, this.#ticketKeys)
    if (!judged.ok) {
      entry.doubt = { what: judged, since: performance.now() }
      return
    }
    entry.doubt = undefined
    entry.pair = judged.pair
    entry.expiry = undefined
    const { leaf } = judged.pair
    const concern = nameConcern(name, leaf)
    if (concern !== undefined) this.#say('warn', `${name}: ${concern}`)
    if (time === 'again') this.#say('info', `${name}: in use, until ${dayOf(leaf.validToDate)}`)
  }

  #miss(entry: Entry): void {
    if (entry.digest === GONE) return
    entry.digest = GONE
    entry.doubt = { what: 'gone', since: performance.now() }
  }

  #confirm(name: string, entry: Entry, { what, since }: Doubt, settleMs: number): void {
    if (performance.now() - since < settleMs) return
    entry.doubt = undefined
    if (what === 'gone') {
      this.#entries.delete(name)
      this.#say('warn', `${name}: gone, and in use no more`)
    } else {
      const rest = entry.pair === undefined ? '' : '; the one before stays in use'
      this.#say('warn', `${name}: ${what.problem}${rest}`)
    }
  }

  /** With each look, so it is seen within seconds of its day. */
  #sayExpiries(): void {
    const now = this.#options.now?.() ?? new Date()
    for (const [name, entry] of this.#entries) {
      const concern = entry.pair && expiryConcern(entry.pair.leaf, now)
      if (concern?.stage === entry.expiry) continue
      entry.expiry = concern?.stage
      if (concern !== undefined) this.#say('warn', `${name}: ${concern.text}`)
    }
  }

  /** Each once, until it goes and comes back. */
  #sayNew(problems: readonly string[]): void {
    for (const problem of problems) if (!this.#said.has(problem)) this.#say('warn', problem)
    this.#said = new Set(problems)
  }

  #say(level: 'info' | 'warn', text: string): void {
    this.#options.notice(level, `certificates: ${text}`)
  }
}

function judgeFound({ certificate, key }: Found, ticketKeys: Buffer): Judged {
  if (certificate?.ok === false) return certificate
  if (key?.ok === false) return key
  if (certificate === undefined) return { ok: false, problem: `${key?.name} has no certificate` }
  if (key === undefined) return { ok: false, problem: `${certificate.name} has no key` }
  return judgePair({ certificate, key }, ticketKeys)
}

/** One label only, and no file is for `*` beside less than two others. */
const wildcardOf = (name: string): string => name.replace(/^[^.]*/, '*')

function digestOf({ certificate, key }: Found): string {
  const hash = createHash('sha256')
  for (const file of [certificate, key]) hash.update(JSON.stringify(file ?? null))
  return hash.digest('base64')
}

const infoOf = (name: string, { leaf }: Pair): CertificateInfo => ({
  name,
  validFrom: leaf.validFromDate,
  validTo: leaf.validToDate,
  fingerprint: leaf.fingerprint256,
})

const NEW_ENTRY: Entry = { digest: '', pair: undefined, doubt: undefined, expiry: undefined }
/** In the place of a digest. */
const GONE = 'gone'
const TICKET_KEYS_BYTES = 48
const defaultTiming: Pick<CertificatesTiming, 'settleMs'> = { settleMs: 1_000 }
