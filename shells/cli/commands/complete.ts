/** Names for the completion scripts, one a line. Whoever presses Tab wants no error messages. */
import { connect } from '../../node/operator/client.ts'
import { stateOfNode } from '../arguments.ts'
import { DONE } from '../failure.ts'
import type { NodeOptions } from '../program.ts'
import { serviceNames } from '../screen/describe.ts'
import type { Terminal } from '../screen/terminal.ts'

export async function complete(
  terminal: Terminal,
  kind: string,
  options: NodeOptions,
): Promise<number> {
  const names = await Promise.race([namesOf(kind, options).catch(() => []), afterPatience()])
  // shells expand what they are given: nothing but plain names gets there
  const plain = names.filter((name) => PLAIN_NAME.test(name))
  terminal.out(plain.map((name) => `${name}\n`).join(''))
  return DONE
}

async function namesOf(kind: string, options: NodeOptions): Promise<string[]> {
  const client = await connect(stateOfNode(options.state))
  const view = await client.status()
  if (kind === 'deployments') return view.deployments.map(({ name }) => name)
  return kind === 'services' ? view.services.map(serviceNames(view)) : []
}

const afterPatience = (): Promise<string[]> =>
  new Promise((resolve) => setTimeout(() => resolve([]), PATIENCE_MS))

const PLAIN_NAME = /^[\w.-]+(?:\/[\w.-]+)?$/
const PATIENCE_MS = 3_000
