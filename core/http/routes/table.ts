/**
 * Which listener takes a request: the routes of one port, by host and path.
 *
 * Hosts: the exact one, then a wildcard (one label more and no other, as a certificate has it), then
 * routes without a host. Of the routes of a host the longest prefix of whole segments. A host whose
 * routes have no prefix of this path leaves it to the next kind: a route without a host is for all
 * hosts.
 */
import type { HttpRoute } from '../config.ts'
import { canonicalPath, isPlainPath } from './path.ts'

export class RouteTable {
  readonly routes: readonly HttpRoute[]
  readonly #exact = new Map<string, Prefixes>()
  /** By what follows the star: `.example.com`. */
  readonly #wildcard = new Map<string, Prefixes>()
  readonly #any = new Prefixes()

  /** Of two routes for one host and path the first counts. */
  constructor(routes: readonly HttpRoute[]) {
    this.routes = routes
    for (const route of routes) this.#prefixes(route.host).add(route)
  }

  /**
   * Authority as in Host: with a port or without, empty where there is none. The path as it came,
   * without its query; `*` (RFC 9112, 3.2.4) is for whoever has `/`.
   *
   * Undefined: none of them, or a path that cannot be led anywhere safely, see `isEvasive`.
   */
  find(authority: string, path: string): HttpRoute | undefined {
    const plain = isPlainPath(path) ? path : canonicalPath(path)
    if (plain === undefined) return undefined
    const host = hostOf(authority)
    if (host !== '') {
      const found = this.#exact.get(host)?.find(plain) ?? this.#below(host)?.find(plain)
      if (found !== undefined) return found
    }
    return this.#any.find(plain)
  }

  #below(host: string): Prefixes | undefined {
    if (this.#wildcard.size === 0) return undefined
    const dot = host.indexOf('.')
    return dot <= 0 ? undefined : this.#wildcard.get(host.slice(dot))
  }

  #prefixes(written: string | undefined): Prefixes {
    const host = hostOf(written ?? '')
    if (host === '') return this.#any
    const [hosts, key] = host.startsWith('*.')
      ? [this.#wildcard, host.slice(1)]
      : [this.#exact, host]
    const prefixes = hosts.get(key) ?? new Prefixes()
    hosts.set(key, prefixes)
    return prefixes
  }
}

/** The routes of one host. */
class Prefixes {
  #root: HttpRoute | undefined
  readonly #byPath = new Map<string, HttpRoute>()
  /** That there are, the longest first: each costs one look, however many routes have it. */
  #lengths: number[] = []

  add(route: HttpRoute): void {
    const prefix = prefixOf(route.path)
    if (prefix === '') {
      this.#root ??= route
    } else if (!this.#byPath.has(prefix)) {
      this.#byPath.set(prefix, route)
      if (!this.#lengths.includes(prefix.length)) this.#lengths.push(prefix.length)
      this.#lengths.sort((a, b) => b - a)
    }
  }

  find(path: string): HttpRoute | undefined {
    const { length } = path
    for (const at of this.#lengths) {
      if (at > length || (at < length && path.charCodeAt(at) !== SLASH)) continue
      const found = this.#byPath.get(at === length ? path : path.slice(0, at))
      if (found !== undefined) return found
    }
    return this.#root
  }
}

/** Lower case, without port and without a dot at its end. An IPv6 address keeps its brackets. */
export function hostOf(authority: string): string {
  const colon = authority.indexOf(
    ':',
    authority.charCodeAt(0) === BRACKET ? authority.indexOf(']') : 0,
  )
  const host = colon < 0 ? authority : authority.slice(0, colon)
  const lower = host.toLowerCase()
  return lower.endsWith('.') ? lower.slice(0, -1) : lower
}

/** As paths are compared; empty for `/` and none. */
const prefixOf = (path: string): string => (canonicalPath(path) ?? path).replace(/^\/$/, '')

const SLASH = 0x2f
const BRACKET = 0x5b
