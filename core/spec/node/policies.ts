/** Network policies of the node file: who may reach what, by the address they come from. */
import type { NetworkPolicy, PolicyMember, PolicyRule } from '../../policy/policy.ts'
import { networkFault } from '../grammar/addresses.ts'
import {
  DEPLOYMENT_NAME,
  deploymentNameFault,
  ENDPOINT_NAME,
  SERVICE_NAME,
  serviceNameFault,
} from '../grammar/names.ts'
import { forms, list } from '../schema/collections.ts'
import { byDefault, object, optional, required } from '../schema/objects.ts'
import { oneOf, port, text } from '../schema/scalars.ts'
import { given, mapped, placed, type Shape } from '../schema/shape.ts'
import { quote, showKey } from '../schema/words.ts'

export const network = text('a network such as 10.0.0.0/8', { fault: networkFault })
export const networks = list(network, 'a list of networks')

const unknown = (who: string): string =>
  `nothing here knows ${who}, only where a connection comes from; write cidrs`

const member: Shape<PolicyMember> = mapped(
  object('policy_member', 'a member', {
    name: required(text('a network such as 10.0.0.0/8'), 'The network.'),
    kind: required(
      oneOf(['cidr'], {
        hints: { user: unknown('users'), group: unknown('groups'), node: unknown('other nodes') },
      }),
      'What the name is; the others of the format, user, group and node, are refused.',
    ),
  }),
  (read, path, reading) => {
    const fault = networkFault(read.name)
    if (fault === undefined) return read
    reading.report([...path, 'name'], `name ${fault}`, 'value')
    return undefined
  },
)

/** `*`, or a name of this kind. */
const nameOr = (
  what: string,
  pattern: RegExp,
  fault: (name: string) => string | undefined,
): Shape<string> =>
  text(`${what} or "*"`, {
    pattern: new RegExp(`^\\*$|${pattern.source}`),
    fault: (name) => (name === '*' ? undefined : fault(name)),
  })

const serviceName = nameOr('the name of a service', SERVICE_NAME, (name) => {
  const [, deployment, service] = /^([^/]+)\/([^/]+)$/.exec(name) ?? []
  if (deployment === undefined || service === undefined) return serviceNameFault(name)
  return `must be without its deployment, not ${quote(name)}; write service: ${service}, deployment: ${deployment}`
})

const rule: Shape<PolicyRule> = mapped(
  object(
    'access_rule',
    'an access rule',
    {
      service: byDefault(serviceName, '*', 'A service; * is any.'),
      deployment: byDefault(
        nameOr('the name of a deployment', DEPLOYMENT_NAME, deploymentNameFault),
        '*',
        'A deployment; * is any.',
      ),
      ports: optional(
        list(
          forms<number | string>('a port or the name of an endpoint', {
            number: port,
            text: text('the name of an endpoint', { pattern: ENDPOINT_NAME }),
          }),
          'a list of ports and names of endpoints',
          1,
        ),
        'Ports that clients connect to, or endpoints by name; all when not said.',
      ),
      action: byDefault(oneOf(['allow', 'deny']), 'allow', 'A deny of any policy wins.'),
    },
    { port: 'write ports: [PORT]', endpoint: 'write ports: [NAME]' },
  ),
  ({ service, deployment, action, ports }): PolicyRule => ({
    service,
    deployment,
    action,
    ...given({ ports }),
  }),
)

const policy: Shape<NetworkPolicy> = placed(
  mapped(
    object('network_policy', 'a network policy', {
      name: required(text('a name'), 'For messages; unique.'),
      description: optional(text('a text'), 'For people.'),
      cidrs: byDefault(networks, [], 'Where clients come from whom it governs.'),
      members: byDefault(
        list(member, 'a list of members'),
        [],
        'More of them, in the other form of the format.',
      ),
      access_rules: byDefault(
        list(rule, 'a list of access rules'),
        [],
        'What they may reach. Whoever is governed and allowed by no rule is refused.',
      ),
    }),
    ({ name, description, cidrs, members, access_rules: accessRules }, path, reading) => {
      const isKnown = ['cidrs', 'members'].every((key) => !reading.isSpoilt([...path, key]))
      if (isKnown && cidrs.length + members.length === 0) {
        const message = `policy ${showKey(name)} governs nobody; give cidrs: [10.0.0.0/8] or the like`
        reading.report(path, message)
      }
      return { name, ...given({ description }), cidrs, members, accessRules }
    },
  ),
)

export const networkPolicies: Shape<readonly NetworkPolicy[]> = mapped(
  list(policy, 'a list of network policies'),
  (policies, _path, reading) => {
    const seen = new Set<string>()
    for (const each of policies) {
      const at = [...reading.pathOf(each), 'name']
      if (seen.has(each.name)) {
        const twice = `name ${showKey(each.name)} is given twice; each policy has one of its own`
        reading.report(at, twice, 'value')
      }
      seen.add(each.name)
    }
    return policies
  },
)
