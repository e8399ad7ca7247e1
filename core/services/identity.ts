/**
 * Names of the things a node runs. A name is text that parses back to exactly its parts
 * (services W36): the parts never contain the separators `/` and `#`.
 */

declare const brand: unique symbol

/** `deployment/service`. */
export type ServiceKey = string & { readonly [brand]: 'ServiceKey' }
/** `deployment/service/number#incarnation`; a new process under an old number is a new incarnation. */
export type ReplicaId = string & { readonly [brand]: 'ReplicaId' }
/** `deployment/service/endpoint#generation`. */
export type ListenerId = string & { readonly [brand]: 'ListenerId' }

export interface ReplicaName {
  readonly deployment: string
  readonly service: string
  /** One-based, unique in the service whatever the role (services W7). */
  readonly number: number
  /** Rises with every process started by this node. */
  readonly incarnation: number
}

export const serviceKey = (deployment: string, service: string): ServiceKey =>
  `${deployment}/${service}` as ServiceKey

export function parseServiceKey(key: ServiceKey): { deployment: string; service: string } {
  const slash = key.indexOf('/')
  return { deployment: key.slice(0, slash), service: key.slice(slash + 1) }
}

export const replicaId = (name: ReplicaName): ReplicaId =>
  `${name.deployment}/${name.service}/${name.number}#${name.incarnation}` as ReplicaId

export function parseReplicaId(id: ReplicaId): ReplicaName {
  const [deployment = '', service = '', rest = ''] = id.split('/')
  const [number = '', incarnation = ''] = rest.split('#')
  return { deployment, service, number: Number(number), incarnation: Number(incarnation) }
}

export const listenerId = (service: ServiceKey, endpoint: string, generation: number): ListenerId =>
  `${service}/${endpoint}#${generation}` as ListenerId

export interface ListenerName {
  readonly deployment: string
  readonly service: string
  readonly endpoint: string
  /** Rises with every listener opened by this node. */
  readonly generation: number
}

export function parseListenerId(id: ListenerId): ListenerName {
  const [deployment = '', service = '', rest = ''] = id.split('/')
  const [endpoint = '', generation = ''] = rest.split('#')
  return { deployment, service, endpoint, generation: Number(generation) }
}

/** `web-1`: what people read in tables and logs. */
export const replicaLabel = (id: ReplicaId): string => {
  const { service, number } = parseReplicaId(id)
  return `${service}-${number}`
}
