/** Flows of UDP endpoints as a table. Pure. */
import { replicaLabel } from '../../../core/services/identity.ts'
import type { FlowRow, FlowsAnswer } from '../../node/operator/flows.ts'
import { durationText, namesAmong } from './describe.ts'
import { type Column, type Style, type TableLook, tableLines } from './table.ts'

export function flowLines(flows: readonly FlowRow[], look: TableLook): string[] {
  const name = namesAmong(flows)
  const rows = flows.map((flow) => [
    { text: flow.client },
    { text: name(flow) },
    { text: flow.endpoint },
    { text: replicaLabel(flow.backend) },
    phaseCell(flow),
    { text: durationText(flow.ageMs) },
    { text: durationText(flow.expiresInMs) },
    { text: trafficText(flow.datagramsIn, flow.bytesIn) },
    { text: trafficText(flow.datagramsOut, flow.bytesOut) },
  ])
  return tableLines(COLUMNS, rows, look)
}

/** What the table does not show; nothing when it shows all. */
export function flowsSummary({ flows, matching, examined, total }: FlowsAnswer): string[] {
  const lines: string[] = []
  if (matching === 0) lines.push(total === 0 ? 'no flows' : 'no flow like that')
  const more = matching - flows.length
  if (more > 0) lines.push(`and ${number(more)} more: use --limit, or say which`)
  if (examined < total) {
    lines.push(`of ${number(total)} flows ${number(examined)} were looked at`)
  }
  return lines
}

/** Half-open: no backend answered yet. */
function phaseCell({ phase, answered }: FlowRow): { text: string; style: Style } {
  if (phase === 'open' && !answered) return { text: 'half-open', style: 'yellow' }
  return { text: phase, style: PHASE_STYLE[phase] }
}

/** `12 (3.4k)`: datagrams, and their bytes. */
const trafficText = (datagrams: number, bytes: number): string =>
  `${datagrams} (${bytesText(bytes)})`

/** `0`, `999`, `1.5k`, `12k`, `3.1M`: decimal, to two digits or more. */
export function bytesText(bytes: number): string {
  let value = bytes
  for (const unit of ['', 'k', 'M', 'G']) {
    const digits = unit !== '' && value < 9.95 ? 1 : 0
    if (value < 999.5) return `${value.toFixed(digits)}${unit}`
    value /= 1_000
  }
  return `${Math.round(value)}T`
}

const number = (value: number): string => value.toLocaleString('en')

const PHASE_STYLE: Readonly<Record<FlowRow['phase'], Style>> = {
  opening: 'yellow',
  open: 'green',
  answering: 'dim',
}

const COLUMNS: readonly Column[] = [
  { title: 'CLIENT' },
  { title: 'SERVICE', flexible: true },
  { title: 'ENDPOINT', flexible: true },
  { title: 'BACKEND', flexible: true },
  { title: 'PHASE' },
  { title: 'AGE', align: 'right' },
  { title: 'EXPIRES', align: 'right' },
  { title: 'IN', align: 'right' },
  { title: 'OUT', align: 'right' },
]
