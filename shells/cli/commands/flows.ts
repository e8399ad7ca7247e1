/** `weir backends`, `weir flows` and `weir metrics`: what goes through the endpoints of a running node. */
import { connect, type FlowsRequest } from '../../node/operator/client.ts'
import { stateOfNode } from '../arguments.ts'
import { DONE } from '../failure.ts'
import type { NodeOptions } from '../program.ts'
import { backendLines } from '../screen/backends.ts'
import { flowLines, flowsSummary } from '../screen/flows.ts'
import type { Terminal } from '../screen/terminal.ts'

export async function flows(
  terminal: Terminal,
  service: string | undefined,
  { state, json, ...request }: NodeOptions & Omit<FlowsRequest, 'service'>,
): Promise<number> {
  const client = await connect(stateOfNode(state))
  const answer = await client.flows({ ...request, ...(service === undefined ? {} : { service }) })
  if (json) {
    terminal.out(`${JSON.stringify(answer, null, 2)}\n`)
    return DONE
  }
  const look = { width: terminal.columns(), colour: terminal.colour }
  const lines = [...flowLines(answer.flows, look), ...flowsSummary(answer)]
  terminal.out(lines.map((line) => `${line}\n`).join(''))
  return DONE
}

export async function backends(
  terminal: Terminal,
  service: string | undefined,
  { state, json }: NodeOptions,
): Promise<number> {
  const client = await connect(stateOfNode(state))
  const rows = await client.backends(service)
  const look = { width: terminal.columns(), colour: terminal.colour }
  const lines = rows.length === 0 ? ['no backends'] : backendLines(rows, look)
  terminal.out(
    json ? `${JSON.stringify(rows, null, 2)}\n` : lines.map((each) => `${each}\n`).join(''),
  )
  return DONE
}

export async function metrics(terminal: Terminal, { state }: NodeOptions): Promise<number> {
  const client = await connect(stateOfNode(state))
  terminal.out(await client.metrics())
  return DONE
}
