/** Rules of network policies that match nothing there is: what they should close would be open. */
import type { PolicyPlace, PolicyRule } from '../../policy/policy.ts'
import type { Unbuilt } from '../built.ts'
import type { Deployment, ServiceSpec } from '../deployment.ts'
import type { Path } from '../problem.ts'
import { Suggestions } from '../schema/suggest.ts'
import { showKey } from '../schema/words.ts'
import type { NodeSettings } from './settings.ts'

/**
 * Warned of, and no more: a rule may be for a deployment that is still to come. `others`: what else
 * is known to be deployed on the node.
 */
export function idleRules(
  deployment: Deployment,
  { networkPolicies }: Pick<NodeSettings, 'networkPolicies'>,
  others: readonly PolicyPlace[] = [],
): readonly Unbuilt[] {
  const known: Known = { deployment, others, suggestions: new Suggestions() }
  return networkPolicies.flatMap(({ name, accessRules }) =>
    accessRules.flatMap((rule, index) => {
      const who = `access rule ${index + 1} of policy ${showKey(name)} in the node file`
      return faultsOf(rule, known).map(
        ({ path, fault }): Unbuilt => ({ path, level: 'warn', message: `${who} ${fault}` }),
      )
    }),
  )
}

interface Known {
  readonly deployment: Deployment
  readonly others: readonly PolicyPlace[]
  /** Comparing is bounded for all rules together. */
  readonly suggestions: Suggestions
}

interface Fault {
  readonly path: Path
  /** Completes `access rule 1 of policy office in the node file ...`. */
  readonly fault: string
}

function faultsOf(rule: PolicyRule, { deployment, others, suggestions }: Known): readonly Fault[] {
  const { service } = rule
  const elsewhere = others.filter(
    (place) => rule.deployment === '*' || rule.deployment === place.deployment,
  )
  const didYouMean = (word: string, candidates: Iterable<string>): string => {
    const nearest = suggestions.nearest(word, candidates)
    return nearest === undefined ? '' : `; did you mean ${showKey(nearest)}?`
  }
  if (rule.deployment !== '*' && rule.deployment !== deployment.name) {
    const hint = elsewhere.length > 0 ? '' : didYouMean(rule.deployment, [deployment.name])
    if (hint === '') return []
    return [{ path: ['deployment'], fault: `is for deployment ${rule.deployment}${hint}` }]
  }
  const advice =
    rule.deployment === '*' ? '; where it is for another deployment, name that in it' : ''
  const names = Object.keys(deployment.services)
  if (service !== '*' && !Object.hasOwn(deployment.services, service)) {
    if (elsewhere.some((place) => place.service === service)) return []
    const fault = `is for service ${service}, and there is none of this name here${didYouMean(service, names)}${advice}`
    return [{ path: ['services'], fault }]
  }
  const places = [
    ...names.flatMap((name) => placesOf(name, deployment.services[name]!)),
    ...elsewhere,
  ].filter((place) => service === '*' || service === place.service)
  const path = service === '*' ? ['services'] : ['services', service]
  return (rule.ports ?? [])
    .filter((port) => !places.some((place) => isAt(place, port)))
    .map((port) => {
      const isName = typeof port === 'string'
      const names = isName ? places.map(({ endpoint }) => endpoint) : []
      const hint = isName ? didYouMean(port, names) : ''
      const whose = service === '*' ? 'no service here has' : `service ${service} here has not`
      const fault = `names ${isName ? 'endpoint' : 'port'} ${port}, which ${whose}${hint}${advice}`
      return { path, fault }
    })
}

type Place = Pick<PolicyPlace, 'service' | 'endpoint' | 'port'>

/** As clients come to a service: by its endpoints, and by mappings to a port that is said. */
const placesOf = (service: string, { endpoints, portMappings }: ServiceSpec): readonly Place[] => [
  ...endpoints.map(({ name: endpoint, port }) => ({ service, endpoint, port })),
  ...portMappings.map(({ hostPort: port = 0 }) => ({ service, endpoint: '', port })),
]

const isAt = ({ endpoint, port }: Place, asked: number | string): boolean =>
  asked === endpoint || String(asked) === String(port)
