/** Sockets of a node as a table: which are there, which are not, and why. Pure. */
import { stripVTControlCharacters } from 'node:util'
import type { ListenerRow } from '../../node/operator/api.ts'
import { countText, namesAmong } from './describe.ts'
import { type Cell, type Column, type Style, styled, type TableLook, tableLines } from './table.ts'
import { plainLine, widthOf } from './width.ts'

/**
 * Details that find no room stand below the table in full: they say who has a port. Those of what is
 * as it should be are left out then.
 */
export function listenerLines(listeners: readonly ListenerRow[], look: TableLook): string[] {
  const name = namesAmong(listeners)
  const rows = listeners.map((each, index) => [
    { text: isOwn(each) ? OWN : name(each) },
    { text: endpointText(each) },
    { text: protocolText(each) },
    { text: each.purpose },
    addressCell(each),
    { text: hostText(each) },
    { text: each.state, style: STYLE[each.state] },
    { text: backendsText(each) },
    { text: liveText(each, listeners, index) },
    { text: each.detail || (WHY[each.state] ?? '') },
  ])
  const whole = tableLines(COLUMNS, rows, { colour: look.colour })
  if (look.width === undefined || whole.every((line) => visibleWidth(line) <= look.width!)) {
    return whole
  }
  const table = tableLines(COLUMNS.slice(0, -1), rows, look)
  const details = listeners
    .filter(({ detail, state }) => detail !== '' && state !== 'idle' && state !== 'absent')
    .map((each) => {
      const what = isOwn(each) ? OWN : `${name(each)} ${endpointText(each)}`
      const line = `${each.address} (${what}): ${plainLine(each.detail)}`
      return styled(line, PROBLEM[each.state], look.colour)
    })
  return details.length === 0 ? table : [...table, '', ...details]
}

/** Of the node itself, not of a service. */
const isOwn = ({ deployment }: ListenerRow): boolean => deployment === ''

/** `6379/tcp` of `mapping 6379 tcp`: what it is has a column of its own. */
const endpointText = ({ endpoint, purpose }: ListenerRow): string =>
  purpose === 'mapping' ? endpoint.replace(/^mapping (\d+) (\w+)$/, '$1/$2') : endpoint

/** `tls` as in the URLs of such endpoints; https says it by itself. */
const protocolText = ({ protocol, tls }: ListenerRow): string =>
  tls && protocol === 'tcp' ? 'tls' : protocol

/** The server name that tells it from others at the same port; those without one get all the rest. */
const hostText = ({ tls, serverName }: ListenerRow): string => (tls ? (serverName ?? '(any)') : '')

/** Dim: nothing listens there. Port 0 is whichever is free when it comes to that. */
function addressCell(row: ListenerRow): Cell {
  const text = row.address.replace(/:0$/, ':(any)') || '-'
  return isOpen(row) || PROBLEM[row.state] !== undefined ? { text } : { text, style: 'dim' }
}

const isOpen = ({ state }: ListenerRow): boolean => state === 'listening' || state === 'serving'

/** `3`, or `2/3` when not all take traffic. */
function backendsText(row: ListenerRow): string {
  if (isOwn(row)) return ''
  if (row.state === 'draining') return String(row.backends)
  const up = row.members.filter(({ isUp }) => isUp).length
  return up === row.backends ? String(row.backends) : `${up}/${row.backends}`
}

/**
 * Connections belong to a listener, whichever of its sockets they came in through: said once, where
 * more may come in.
 */
function liveText(row: ListenerRow, all: readonly ListenerRow[], index: number): string {
  if (isOwn(row)) return ''
  const isOfSame = ({ listener }: ListenerRow) => listener === row.listener
  const best = all.findIndex((each) => isOfSame(each) && isOpen(each))
  if (index !== (best < 0 ? all.findIndex(isOfSame) : best)) return ''
  if (row.protocol === 'udp') return countText(row.flows, 'flow')
  return String(row.protocol === 'tcp' ? row.connections : row.requests)
}

const visibleWidth = (line: string): number => widthOf(stripVTControlCharacters(line))

const OWN = '(node)'

const STYLE: Record<ListenerRow['state'], Style> = {
  idle: 'dim',
  waiting: 'yellow',
  opening: 'yellow',
  listening: 'yellow',
  serving: 'green',
  retrying: 'red',
  absent: 'dim',
  closing: 'dim',
  draining: 'yellow',
}

/** States in which something is to be done about the address. */
const PROBLEM: Partial<Record<ListenerRow['state'], Style>> = { retrying: 'red' }

/** Where the node says nothing. */
const WHY: Partial<Record<ListenerRow['state'], string>> = {
  idle: 'not bound until a replica is ready',
  waiting: 'waits until its port is let go of',
  absent: 'this machine has no such address',
  draining: 'takes nothing new; what is connected goes on',
}

const COLUMNS: readonly Column[] = [
  { title: 'SERVICE', flexible: true },
  { title: 'ENDPOINT', flexible: true },
  { title: 'PROTOCOL' },
  { title: 'PURPOSE' },
  { title: 'ADDRESS' },
  { title: 'HOST', flexible: true },
  { title: 'STATE' },
  { title: 'BACKENDS', align: 'right' },
  { title: 'LIVE', align: 'right' },
  { title: 'DETAIL', flexible: true },
]
