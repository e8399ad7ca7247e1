/** `weir status`, `weir ps` and `weir listeners`: what a running node says of itself. */
import type { NodeView } from '../../../core/node/view.ts'
import type { VersionAnswer } from '../../node/operator/api.ts'
import { connect } from '../../node/operator/client.ts'
import { stateOfNode } from '../arguments.ts'
import { DONE } from '../failure.ts'
import type { NodeOptions } from '../program.ts'
import { durationText, listenerLines, replicaLines, serviceLines } from '../screen/describe.ts'
import { type Style, type TableLook, tableLines } from '../screen/table.ts'
import type { Terminal } from '../screen/terminal.ts'
import { cutToWidth, plainLine } from '../screen/width.ts'

export async function show(
  terminal: Terminal,
  what: 'status' | 'ps' | 'listeners',
  options: NodeOptions,
): Promise<number> {
  const client = await connect(stateOfNode(options.state))
  const view = await client.status()
  if (options.json) {
    const shown = { status: view, ps: view.replicas, listeners: view.listeners }[what]
    terminal.out(`${JSON.stringify(shown, null, 2)}\n`)
    return DONE
  }
  const look: TableLook = { width: terminal.columns(), colour: terminal.colour }
  const lines = linesOf(what, view, look)
  if (what === 'status') {
    lines.unshift(...headLines(await client.version(), view, look, Date.now()))
  }
  terminal.out(lines.map((line) => `${line}\n`).join(''))
  return DONE
}

function linesOf(what: 'status' | 'ps' | 'listeners', view: NodeView, look: TableLook): string[] {
  switch (what) {
    case 'status':
      return view.services.length === 0 ? ['no services'] : serviceLines(view, look)
    case 'ps':
      return view.replicas.length === 0 ? ['no replicas'] : replicaLines(view, look)
    case 'listeners':
      return view.listeners.length === 0 ? ['no listeners'] : listenerLines(view, look)
  }
}

/** The node on one line, its deployments below, and an empty line. `nowMs`: since 1970. */
export function headLines(
  node: VersionAnswer,
  view: NodeView,
  look: TableLook,
  nowMs: number,
): string[] {
  const up = durationText(nowMs - new Date(node.since).getTime())
  const facts = [
    `node ${node.node} ${view.phase === 'running' ? 'running' : `${view.phase}, up`} for ${up}`,
    `weir ${node.version}`,
    `pid ${node.pid}`,
    `state ${node.state}`,
  ]
  const line = plainLine(facts.join(', '))
  const rows = view.deployments.map((deployment) => [
    { text: deployment.name },
    { text: deployment.state, style: DEPLOYMENT_STYLE[deployment.state] },
  ])
  return [
    look.width === undefined ? line : cutToWidth(line, look.width),
    '',
    ...tableLines([{ title: 'DEPLOYMENT', flexible: true }, { title: 'STATE' }], rows, look),
    ...(rows.length > 0 ? [''] : []),
  ]
}

const DEPLOYMENT_STYLE: Record<NodeView['deployments'][number]['state'], Style> = {
  converging: 'yellow',
  ready: 'green',
  failed: 'red',
  removing: 'dim',
}
