/** `weir deploy`, `scale`, `restart` and `remove`: requests to a running node. */
import { connect, type OperatorClient, OperatorError } from '../../node/operator/client.ts'
import { readSource, stateOfNode } from '../arguments.ts'
import { DONE, FAILED, Failure, failed } from '../failure.ts'
import type { NodeOptions } from '../program.ts'
import type { Terminal } from '../screen/terminal.ts'
import { plainLine } from '../screen/width.ts'
import { printWarnings } from './problems.ts'
import { tellingWhy } from './wait-watch.ts'

export async function deploy(
  terminal: Terminal,
  file: string,
  options: NodeOptions & { readonly wait: boolean },
): Promise<number> {
  const source = readSource(file)
  const client = await connect(stateOfNode(options.state))
  const accepted = await client.deploy(source).catch((error: unknown) => {
    throw refusal(error, file)
  })
  if (!options.json) {
    printWarnings(terminal, accepted.warnings)
    terminal.out(`${plainLine(accepted.text)}\n`)
  }
  const { name } = accepted
  const waited = options.wait ? client.settled(name) : undefined
  const settled =
    waited === undefined || options.json
      ? await waited
      : await tellingWhy(waited, terminal, client, name)
  if (options.json) {
    terminal.out(`${JSON.stringify({ ...accepted, ...settled }, null, 2)}\n`)
  } else if (settled?.outcome === 'ready') {
    terminal.out('ready\n')
  } else if (settled !== undefined) {
    for (const problem of settled.problems) terminal.error(`failed: ${plainLine(problem)}\n`)
    if (settled.problems.length === 0) terminal.error('failed: see weir status\n')
  }
  return settled?.outcome === 'failed' ? FAILED : DONE
}

/** One line for each problem. Those with a place stay as they are: editors jump there. */
function refusal(error: unknown, file: string): unknown {
  if (!(error instanceof OperatorError) || error.code === 'connection') return error
  if (error.code === 'stopping') return failed(plainLine(error.message))
  if (error.problems.length === 0) return error
  const isPlaced = (problem: string) => /^.+:\d+:\d+: /.test(problem)
  return new Failure(
    FAILED,
    error.problems.map((problem) => (isPlaced(problem) ? problem : `weir: ${file}: ${problem}`)),
  )
}

export const scale = (
  terminal: Terminal,
  service: string,
  replicas: number,
  options: NodeOptions,
): Promise<number> => request(terminal, options, (client) => client.scale(service, replicas))

export const restart = (
  terminal: Terminal,
  service: string,
  options: NodeOptions & { readonly replica?: number },
): Promise<number> =>
  request(terminal, options, (client) => client.restart(service, options.replica))

export const remove = (
  terminal: Terminal,
  deployment: string,
  options: NodeOptions,
): Promise<number> =>
  request(terminal, options, (client) => {
    const waited = client.remove(deployment)
    return options.json ? waited : tellingWhy(waited, terminal, client, deployment)
  })

async function request(
  terminal: Terminal,
  options: NodeOptions,
  ask: (client: OperatorClient) => Promise<{ readonly text: string }>,
): Promise<number> {
  const answer = await ask(await connect(stateOfNode(options.state)))
  terminal.out(options.json ? `${JSON.stringify(answer)}\n` : `${plainLine(answer.text)}\n`)
  return DONE
}
