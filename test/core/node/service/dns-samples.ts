/** Nodes with one service called `dns`, of two replicas, and the sets its listeners were sent. */
import type { NodeCommand } from '../../../../core/node/commands.ts'
import type { EndpointSpec } from '../../../../core/spec/deployment.ts'
import { deploymentOf, endpointOf, ObedientShell, serviceOf } from '../obedient-shell.ts'
import { fixed, typed } from './samples.ts'

export const DNS_TCP = endpointOf({ name: 'dns-tcp', protocol: 'tcp', port: 53 })

export function deployed(
  endpoints: readonly EndpointSpec[],
  { replicas = 2 }: { replicas?: number } = {},
): ObedientShell {
  const shell = new ObedientShell().boot()
  shell.deploy(deploymentOf({ dns: serviceOf({ endpoints, scale: fixed(replicas) }) }))
  return shell
}

export const redeploy = (
  shell: ObedientShell,
  endpoints: readonly EndpointSpec[],
  replicas = 2,
): NodeCommand[] =>
  shell.deploy(deploymentOf({ dns: serviceOf({ endpoints, scale: fixed(replicas) }) }))

/**
 * `1 2!`: the numbers in the set sent last to each listener, those that are down with a mark; the
 * listeners of both families have the same one, said once.
 */
export const setsOf = (shell: ObedientShell): string[] => {
  const sets = new Map(typed(shell.commands, 'apply-backends').map((each) => [each.listener, each]))
  const lines = [...sets.values()]
    .filter(({ backends }) => backends.length > 0)
    .map(({ listener, backends }) => {
      const members = backends.map(({ id, down }) => /(\d+)#/.exec(id)?.[1] + (down ? '!' : ''))
      return `${listener.split('/')[2]?.split('#')[0]}: ${members.join(' ')}`
    })
  return [...new Set(lines)]
}
