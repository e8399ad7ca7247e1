/**
 * Network policies as an operator writes them, and what they come to for one endpoint. Source:
 * proxy reference, section 7, and W15.
 */
import { parseIp } from '../net/address.ts'
import { parseCidr } from '../net/cidr.ts'
import { type PackedPrefix, packAddress, packPrefix } from '../net/packed-address.ts'
import type { AccessEntry, AccessList } from './access.ts'

export interface NetworkPolicy {
  readonly name: string
  readonly description?: string
  /** Sources it governs, with those members that are networks. */
  readonly cidrs: readonly string[]
  readonly members: readonly PolicyMember[]
  readonly accessRules: readonly PolicyRule[]
}

/** Who belongs to it. Only a `cidr` is known by its address; its name is the network. */
export interface PolicyMember {
  readonly name: string
  readonly kind: 'user' | 'group' | 'node' | 'cidr'
}

export interface PolicyRule {
  /** The name of a service without its deployment; `*`: any. */
  readonly service: string
  /** `*`: any. */
  readonly deployment: string
  /** Numbers that clients connect to, or names of endpoints; absent: all. */
  readonly ports?: readonly (number | string)[]
  readonly action: 'allow' | 'deny'
}

/** What somebody wants to reach. */
export interface PolicyPlace {
  readonly deployment: string
  /** Without its deployment, and without its endpoint: `api`. */
  readonly service: string
  readonly endpoint: string
  /** The port of the endpoint, where clients connect; the replica's own does not count. */
  readonly port: number
}

/** One policy's verdict on one place; plain JSON. {@link AccessEntry} as text. */
export interface AccessRule {
  /** `10.0.0.0/8`. */
  readonly sources: readonly string[]
  readonly verdict: AccessEntry['verdict']
}

/**
 * One rule for each policy, in their order. Also where none of its rules matches: the sources it
 * governs get nowhere that it does not allow. A policy without any network governs nobody.
 */
export function accessOf(policies: readonly NetworkPolicy[], place: PolicyPlace): AccessRule[] {
  const rules: AccessRule[] = []
  for (const { cidrs, members, accessRules } of policies) {
    const networks = members.filter(({ kind }) => kind === 'cidr').map(({ name }) => name)
    const sources = [...new Set([...cidrs, ...networks])]
    if (sources.length === 0) continue
    rules.push({ sources, verdict: verdictOf(accessRules, place) })
  }
  return rules
}

/** What cannot be read as a network is left out: whoever read the policies refused it. */
export const accessListOf = (rules: readonly AccessRule[]): AccessList =>
  rules.map(({ sources, verdict }) => ({
    sources: sources.map(prefixOf).filter((prefix) => prefix !== undefined),
    verdict,
  }))

/** A deny wins, in whatever order they are written. */
function verdictOf(rules: readonly PolicyRule[], place: PolicyPlace): AccessEntry['verdict'] {
  const actions = rules.filter((rule) => covers(rule, place)).map(({ action }) => action)
  return actions.includes('deny') ? 'deny' : (actions[0] ?? 'none')
}

const covers = ({ service, deployment, ports }: PolicyRule, place: PolicyPlace): boolean =>
  (service === '*' || service === place.service) &&
  (deployment === '*' || deployment === place.deployment) &&
  (ports === undefined ||
    ports.some((port) => port === place.endpoint || String(port) === String(place.port)))

/** A single address is a network of one. */
function prefixOf(text: string): PackedPrefix | undefined {
  const cidr = parseCidr(text, 'clear')
  if (cidr !== undefined) return packPrefix(cidr)
  const ip = parseIp(text)
  const network = ip && packAddress({ ip, port: 0 })
  return network && { network, bits: 128 }
}
