/** `weir status`, `weir ps`, `weir listeners` and `weir routes`: what a running node says of itself. */
import type { NodeView } from '../../../core/node/view.ts'
import type { VersionAnswer } from '../../node/operator/api.ts'
import { connect, type OperatorClient } from '../../node/operator/client.ts'
import { stateOfNode } from '../arguments.ts'
import { DONE } from '../failure.ts'
import type { NodeOptions } from '../program.ts'
import { durationText, replicaLines, statusLines } from '../screen/describe.ts'
import { listenerLines } from '../screen/listeners.ts'
import { routeLines } from '../screen/routes.ts'
import { type Style, type TableLook, tableLines } from '../screen/table.ts'
import type { Terminal } from '../screen/terminal.ts'
import { cutToWidth, plainLine } from '../screen/width.ts'

type View = 'status' | 'ps' | 'listeners' | 'routes'

export async function show(terminal: Terminal, what: View, options: NodeOptions): Promise<number> {
  const client = await connect(stateOfNode(options.state))
  const look: TableLook = { width: terminal.columns(), colour: terminal.colour }
  if (options.json) {
    terminal.out(`${JSON.stringify(await answerOf(client, what), null, 2)}\n`)
  } else {
    const lines = await linesOf(client, what, look)
    terminal.out(lines.map((line) => `${line}\n`).join(''))
  }
  return DONE
}

async function answerOf(client: OperatorClient, what: View): Promise<unknown> {
  switch (what) {
    case 'status':
      return client.status()
    case 'ps':
      return (await client.status()).replicas
    case 'listeners':
      return client.listeners()
    case 'routes':
      return client.routes()
  }
}

async function linesOf(client: OperatorClient, what: View, look: TableLook): Promise<string[]> {
  if (what === 'listeners') {
    const listeners = await client.listeners()
    return listeners.length === 0 ? ['no listeners'] : listenerLines(listeners, look)
  }
  if (what === 'routes') {
    const routes = await client.routes()
    return routes.length === 0 ? ['no routes'] : routeLines(routes, look)
  }
  const view = await client.status()
  if (what === 'ps') return view.replicas.length === 0 ? ['no replicas'] : replicaLines(view, look)
  const head = headLines(await client.version(), view, look, Date.now())
  return [...head, ...(view.services.length === 0 ? ['no services'] : statusLines(view, look))]
}

/** The node on one line, its deployments below, and an empty line. `nowMs`: since 1970. */
export function headLines(
  node: VersionAnswer,
  view: NodeView,
  look: TableLook,
  nowMs: number,
): string[] {
  const up = durationText(nowMs - new Date(node.since).getTime())
  const left =
    view.drain === undefined ? '' : ` (the rest is cut in ${durationText(view.drain.remainsMs)})`
  const facts = [
    `node ${node.node} ${view.phase === 'running' ? 'running' : `${view.phase}${left}, up`} for ${up}`,
    `weir ${node.version}`,
    `pid ${node.pid}`,
    `state ${node.state}`,
    ...view.node.map(ownFact),
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

/** `metrics on 127.0.0.1:9464`, or what is wrong with it. */
function ownFact({ purpose, address, state, detail }: NodeView['node'][number]): string {
  if (state === 'listening' || state === 'serving') return `${purpose} on ${address}`
  return `${purpose} ${state} on ${address}${detail === '' ? '' : `: ${detail}`}`
}

const DEPLOYMENT_STYLE: Record<NodeView['deployments'][number]['state'], Style> = {
  converging: 'yellow',
  ready: 'green',
  failed: 'red',
  removing: 'dim',
}
