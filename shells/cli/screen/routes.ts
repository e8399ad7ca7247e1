/** Where HTTP requests go, as a table. Pure. */
import type { RouteView } from '../../../core/node/view.ts'
import { namesAmong } from './describe.ts'
import { type Column, type Style, type TableLook, tableLines } from './table.ts'

/** One line for each host and path of a port, whatever the number of addresses it is at. */
export function routeLines(routes: readonly RouteView[], look: TableLook): string[] {
  const name = namesAmong(routes)
  const rows = oncePerPort(routes).map(({ route, addresses }) => [
    { text: addresses.join(' ') },
    { text: route.tls ? 'https' : 'http' },
    { text: route.host === '' ? ANY : route.host },
    { text: route.path },
    { text: name(route) },
    { text: route.endpoint },
    { text: workText(route) },
    { text: route.redirectTo === undefined ? backendsText(route) : '' },
    route.redirectTo === undefined
      ? { text: route.state, style: STYLE[route.state] }
      : { text: 'redirects' },
  ])
  return tableLines(COLUMNS, rows, look)
}

interface Merged {
  readonly route: RouteView
  readonly addresses: string[]
}

/** An endpoint is usually at an IPv4 and an IPv6 address, with the same routes at both. */
function oncePerPort(routes: readonly RouteView[]): readonly Merged[] {
  const found = new Map<string, Merged>()
  for (const route of routes) {
    const { address, ...rest } = route
    const key = JSON.stringify(Object.entries(rest).sort())
    const known = found.get(key)
    if (known === undefined) found.set(key, { route, addresses: [address] })
    else if (!known.addresses.includes(address)) known.addresses.push(address)
  }
  return [...found.values()]
}

/** What is done to a request besides passing it on. */
function workText({ redirectTo, stripPrefix, path }: RouteView): string {
  if (redirectTo !== undefined) return `to https, port ${redirectTo}`
  return stripPrefix && path !== '/' ? `without ${path}` : ''
}

const backendsText = ({ backends, ready }: RouteView): string =>
  ready === backends ? String(backends) : `${ready}/${backends}`

const ANY = '(any)'

const STYLE: Readonly<Record<RouteView['state'], Style>> = {
  serving: 'green',
  'no-backend': 'red',
  asleep: 'dim',
  waking: 'yellow',
}

const COLUMNS: readonly Column[] = [
  { title: 'ADDRESS', flexible: true },
  { title: 'SCHEME' },
  { title: 'HOST', flexible: true },
  { title: 'PATH', flexible: true },
  { title: 'SERVICE', flexible: true },
  { title: 'ENDPOINT', flexible: true },
  { title: 'REQUESTS GO' },
  { title: 'BACKENDS', align: 'right' },
  { title: 'STATE' },
]
