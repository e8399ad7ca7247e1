/** Where `redirect_https` leads: which endpoint serves by https what a plain one is asked for. */
import type { Deployment, EndpointSpec, ServiceSpec } from './deployment.ts'
import type { Reading } from './schema/reading.ts'

interface Offer {
  readonly service: string
  readonly endpoint: EndpointSpec
}

/**
 * The port that clients of a plain endpoint are sent to; undefined when nothing serves the same by
 * https. What its own service has comes first, then the nearest host, then the longest path.
 */
export const redirectPortOf = (
  services: Readonly<Record<string, ServiceSpec>>,
  service: string,
  endpoint: EndpointSpec,
): number | undefined => bestOf(offersOf(services), service, endpoint)?.endpoint.port

/** `declared` holds every service name of the file, those that could not be read included. */
export function checkRedirects(
  { services }: Deployment,
  declared: ReadonlySet<string>,
  reading: Reading,
): void {
  const names = Object.keys(services)
  const isSpoilt = (name: string): boolean => reading.isSpoilt(['services', name, 'endpoints'])
  // the endpoint that is meant may be one of those that are not understood
  if (names.length < declared.size || names.some(isSpoilt)) return
  const offers = offersOf(services)
  for (const [name, { endpoints }] of Object.entries(services)) {
    for (const endpoint of endpoints) {
      const fault = endpoint.http?.redirectHttps ? faultOf(offers, name, endpoint) : undefined
      const at = [...reading.pathOf(endpoint), 'http', 'redirect_https']
      if (fault !== undefined) reading.report(at, fault, 'value')
    }
  }
}

function offersOf(services: Readonly<Record<string, ServiceSpec>>): readonly Offer[] {
  return Object.entries(services).flatMap(([service, { rtype, endpoints }]) =>
    rtype === 'service'
      ? endpoints.flatMap((endpoint) =>
          endpoint.protocol === 'https' ? [{ service, endpoint }] : [],
        )
      : [],
  )
}

function bestOf(offers: readonly Offer[], service: string, plain: EndpointSpec): Offer | undefined {
  let best: Offer | undefined
  let most: readonly number[] = []
  for (const offer of offers) {
    if (!serves(offer.endpoint, plain) || !isReached(offer.endpoint, plain)) continue
    const { host = '', path } = offer.endpoint
    const rank = [
      offer.service === service ? 1 : 0,
      host === plain.host ? 2 : host === '' ? 0 : 1,
      path.length,
    ]
    if (best !== undefined && !isAbove(rank, most)) continue
    best = offer
    most = rank
  }
  return best
}

/** All that comes to the one is for the other too. */
const serves = (https: EndpointSpec, plain: EndpointSpec): boolean =>
  coversHost(https.host, plain.host) && coversPath(https.path, plain.path)

function coversHost(wide: string | undefined, narrow: string | undefined): boolean {
  if (wide === undefined || wide === narrow) return true
  return narrow !== undefined && wide === narrow.replace(/^[^.]*/, '*')
}

const coversPath = (wide: string, narrow: string): boolean =>
  wide === '/' || wide === narrow || narrow.startsWith(`${wide}/`)

/** Whoever comes to the plain one can also connect to the other. */
const isReached = (https: EndpointSpec, plain: EndpointSpec): boolean =>
  https.expose === 'public' || plain.expose === 'internal'

function isAbove(rank: readonly number[], other: readonly number[]): boolean {
  for (const [index, value] of rank.entries()) {
    if (value !== other[index]) return value > (other[index] ?? 0)
  }
  return false
}

function faultOf(
  offers: readonly Offer[],
  service: string,
  plain: EndpointSpec,
): string | undefined {
  if (bestOf(offers, service, plain) !== undefined) return undefined
  const hidden = offers.find(({ endpoint }) => serves(endpoint, plain))
  if (hidden !== undefined) {
    const what = `endpoint ${hidden.endpoint.name} of service ${hidden.service}`
    return `redirect_https leads to ${what}, which is internal, and this one is public: who is sent there cannot come; write expose: public there`
  }
  const { host, path } = plain
  const asked = `${host ?? 'any host'}${path === '/' ? '' : host === undefined ? `, path ${path}` : path}`
  const other = offers.find(({ endpoint }) => endpoint.host !== undefined)?.endpoint
  const advice =
    host === undefined && other !== undefined
      ? `write host: ${other.host} here, too, or give an https endpoint without a host`
      : `add one, such as { name: tls, protocol: https, port: 443${host === undefined ? '' : `, host: ${host}`}, expose: ${plain.expose} }`
  return `redirect_https needs an https endpoint for ${asked}, and there is none in this file; ${advice}`
}
