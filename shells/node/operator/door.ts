/**
 * The name under which a server is found. Whoever removes the state directory of a running node
 * takes that name away: commands would reach the node no more. It is made again.
 */
import fs from 'node:fs'
import type http from 'node:http'
import path from 'node:path'
import { messageOf } from '../journal/format.ts'
import { makeDirectory } from '../state/make-directory.ts'

export interface DoorOptions {
  readonly socketPath: string
  /** Listens there already. */
  readonly first: http.Server
  readonly makeServer: () => http.Server
  readonly log: (level: 'info' | 'warn' | 'error', text: string) => void
  readonly checkMs?: number
}

export class Door {
  readonly #options: DoorOptions
  readonly #timer: NodeJS.Timeout
  #server: http.Server
  #saidLost = false
  #opening: Promise<void> | undefined

  constructor(options: DoorOptions) {
    this.#options = options
    this.#server = options.first
    this.#timer = setInterval(() => this.#check(), options.checkMs ?? CHECK_MS).unref()
  }

  /** The socket's name goes at once, as close() unlinks it; what is under way may end. */
  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.#opening
    const server = this.#server
    return new Promise((resolve) => {
      const cut = setTimeout(() => server.closeAllConnections(), CLOSE_MS_MAX)
      server.close(() => {
        clearTimeout(cut)
        fs.rmSync(this.#options.socketPath, { force: true })
        resolve()
      })
      server.closeIdleConnections()
    })
  }

  #check(): void {
    const { socketPath } = this.#options
    if (this.#opening !== undefined || isSocket(socketPath)) return
    this.#opening = this.#openAgain().finally(() => {
      this.#opening = undefined
    })
  }

  async #openAgain(): Promise<void> {
    const { socketPath, makeServer, log } = this.#options
    const server = makeServer()
    // Closed before: closing unlinks the name, and would take the new one.
    this.#server.close()
    this.#server = server
    const reason = makeParent(socketPath) ?? (await listen(server, socketPath))
    if (reason === undefined) {
      fs.chmodSync(socketPath, 0o600)
      this.#saidLost = false
      return log('warn', `operator socket: ${socketPath} was removed; made it again`)
    }
    if (this.#saidLost) return
    this.#saidLost = true
    const text = `${socketPath} was removed and cannot be made again (${reason})`
    log('error', `operator socket: ${text}; no command reaches this node, SIGTERM stops it`)
  }
}

/** Says why not. */
export function listen(server: http.Server, place: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const failed = (error: Error): void => resolve(error.message)
    server.once('error', failed)
    server.listen(place, () => {
      server.off('error', failed)
      server.on('error', () => {}) // accept() may run out of descriptors; it goes on later
      resolve(undefined)
    })
  })
}

function makeParent(socketPath: string): string | undefined {
  try {
    makeDirectory(path.dirname(socketPath))
    return undefined
  } catch (error) {
    return messageOf(error)
  }
}

/** Of whom does not matter: another node is kept off by the guard of the state directory. */
function isSocket(place: string): boolean {
  try {
    return fs.lstatSync(place).isSocket()
  } catch {
    return false
  }
}

const CHECK_MS = 2_000
/** Answers are small and the reader is on this machine. */
const CLOSE_MS_MAX = 1_000
