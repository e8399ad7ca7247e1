/** Who is behind each endpoint, as a table. Pure. */
import { replicaLabel } from '../../../core/services/identity.ts'
import type { BackendRow } from '../../node/operator/backends.ts'
import { countText, namesAmong } from './describe.ts'
import { type Column, type Style, type TableLook, tableLines } from './table.ts'

/** One line for each backend of each listener. */
export function backendLines(backends: readonly BackendRow[], look: TableLook): string[] {
  const name = namesAmong(backends)
  const rows = backends.map((each) => [
    { text: name(each) },
    { text: each.endpoint },
    { text: each.protocol },
    { text: each.strategy },
    { text: replicaLabel(each.backend) },
    { text: each.address },
    { text: each.state, style: STYLE[each.state] },
    { text: liveText(each) },
    { text: each.protocol === 'udp' || each.protocol === 'tcp' ? '' : String(each.idle) },
    { text: each.protocol === 'udp' ? '' : String(each.failures) },
  ])
  return tableLines(COLUMNS, rows, look)
}

function liveText({ protocol, live }: BackendRow): string {
  return protocol === 'udp' ? countText(live, 'flow') : String(live)
}

const STYLE: Readonly<Record<BackendRow['state'], Style>> = {
  ready: 'green',
  down: 'red',
  draining: 'yellow',
}

const COLUMNS: readonly Column[] = [
  { title: 'SERVICE', flexible: true },
  { title: 'ENDPOINT', flexible: true },
  { title: 'PROTOCOL' },
  { title: 'STRATEGY' },
  { title: 'BACKEND', flexible: true },
  { title: 'ADDRESS' },
  { title: 'STATE' },
  { title: 'LIVE', align: 'right' },
  { title: 'IDLE', align: 'right' },
  { title: 'FAILURES', align: 'right' },
]
