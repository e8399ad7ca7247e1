/** Which route takes a connection: an entrance's configuration, laid out to be asked. */
import { assert } from '../../machine.ts'
import type { EntranceConfig, EntranceRoute } from './config.ts'

export interface Door {
  readonly config: EntranceConfig
  /** The one route, where no name decides anything. */
  readonly only: EntranceRoute | undefined
  /** By name, in lower case. */
  readonly exact: ReadonlyMap<string, EntranceRoute>
  /** By what follows the star: `.example.com`. */
  readonly wildcard: ReadonlyMap<string, EntranceRoute>
  readonly nameless: EntranceRoute | undefined
}

/** Of two routes for one name the first counts. */
export function doorOf(config: EntranceConfig): Door {
  const { routes } = config
  assert(routes.length > 0, 'an entrance leads somewhere')
  const exact = new Map<string, EntranceRoute>()
  const wildcard = new Map<string, EntranceRoute>()
  for (const route of routes) {
    const name = route.serverName?.toLowerCase().replace(/\.$/, '')
    if (name === undefined) continue
    const [names, key] = name.startsWith('*.') ? [wildcard, name.slice(1)] : [exact, name]
    if (!names.has(key)) names.set(key, route)
  }
  const nameless = routes.find(({ serverName }) => serverName === undefined)
  return { config, only: onlyOf(routes), exact, wildcard, nameless }
}

/** A lone route needs no look at names if it is plain, or if TLS ends here whatever the name. */
function onlyOf([first, ...others]: readonly EntranceRoute[]): EntranceRoute | undefined {
  if (first === undefined || others.length > 0) return undefined
  const { tls, serverName } = first
  return tls === 'off' || (tls === 'terminate' && serverName === undefined) ? first : undefined
}

/** The most exact one, as certificates match: a star is one label, the first one. */
export function routeFor(door: Door, serverName: string | undefined): EntranceRoute | undefined {
  if (serverName === undefined) return door.nameless
  const dot = serverName.indexOf('.')
  const parent = dot < 0 ? undefined : door.wildcard.get(serverName.slice(dot))
  return door.exact.get(serverName) ?? parent ?? door.nameless
}
