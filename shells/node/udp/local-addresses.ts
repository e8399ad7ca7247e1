/**
 * The addresses of this machine, and the names and numbers of its interfaces: they come and go
 * while it runs.
 */
import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os'

export type ReadInterfaces = () => NodeJS.Dict<NetworkInterfaceInfo[]>

export class LocalAddresses {
  readonly #read: ReadInterfaces
  #readAt = Number.NEGATIVE_INFINITY
  #entries: readonly Entry[] | undefined
  #numbers: ReadonlyMap<string, number> = new Map()
  #names: ReadonlyMap<number, string> = new Map()

  constructor(read: ReadInterfaces = networkInterfaces) {
    this.#read = read
  }

  /**
   * Texts that can be bound: `127.0.0.1`, `fe80::1%eth0`. As they are now, or were when this
   * machine could last be asked: that takes a descriptor. Throws when it never could.
   */
  of(family: 4 | 6): readonly string[] {
    try {
      this.#refresh()
    } catch (error) {
      if (this.#entries === undefined) throw error
    }
    const entries = this.#entries?.filter((entry) => entry.family === family) ?? []
    return [...new Set(entries.map(({ text }) => text))]
  }

  /** The number of an interface that has a link-local address. May be a second late. */
  numberOf(name: string): number | undefined {
    if (!this.#numbers.has(name)) this.#refreshIfOld()
    return this.#numbers.get(name)
  }

  nameOf(number: number): string | undefined {
    if (!this.#names.has(number)) this.#refreshIfOld()
    return this.#names.get(number)
  }

  /** Datagrams from interfaces we do not know must not make us list them all each time. */
  #refreshIfOld(): void {
    if (performance.now() - this.#readAt <= REFRESH_MS) return
    try {
      this.#refresh()
    } catch {
      // As they were, then.
    }
  }

  #refresh(): void {
    this.#readAt = performance.now()
    const entries = Object.entries(this.#read()).flatMap(([name, infos = []]) =>
      infos.map((info) => entryOf(name, info)),
    )
    const scoped = entries.filter(({ number }) => number > 0)
    this.#numbers = new Map(scoped.map(({ name, number }) => [name, number]))
    this.#names = new Map(scoped.map(({ name, number }) => [number, name]))
    this.#entries = entries
  }
}

interface Entry {
  readonly family: 4 | 6
  readonly text: string
  readonly name: string
  /** Of the interface of a link-local address; else 0. */
  readonly number: number
}

function entryOf(name: string, info: NetworkInterfaceInfo): Entry {
  if (info.family === 'IPv4') return { family: 4, text: info.address, name, number: 0 }
  const number = info.scopeid
  return { family: 6, text: number > 0 ? `${info.address}%${name}` : info.address, name, number }
}

const REFRESH_MS = 1_000
