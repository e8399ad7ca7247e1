/** Which of the node's answers a request is for. */
import type http from 'node:http'
import { type Answer, refuse } from './request.ts'

export type Route =
  | { readonly type: 'refused'; readonly answer: Answer }
  | {
      readonly type: 'route'
      readonly path: keyof typeof METHODS
      readonly name: string
      readonly url: URL
    }

export function routeOf(request: http.IncomingMessage): Route {
  const url = URL.parse(request.url ?? '', 'http://localhost')
  if (url === null) return { type: 'refused', answer: refuse('invalid', 'not a path') }
  const match = DEPLOYMENT_PATH.exec(url.pathname)
  let name = ''
  try {
    name = decodeURIComponent(match?.[1] ?? '')
  } catch {
    return { type: 'refused', answer: refuse('invalid', 'a broken % escape in the path') }
  }
  const path = match === null ? url.pathname : `/v1/deployments/NAME${match[2] ?? ''}`
  if (!isKnown(path)) {
    return { type: 'refused', answer: refuse('not-found', `nothing is at ${url.pathname}`) }
  }
  const method = METHODS[path]
  if (request.method !== method) {
    const text = `${url.pathname} takes ${method}, not ${request.method}`
    return { type: 'refused', answer: { ...refuse('not-allowed', text), allow: method } }
  }
  return { type: 'route', path, name, url }
}

const isKnown = (path: string): path is keyof typeof METHODS => Object.hasOwn(METHODS, path)

const METHODS = {
  '/v1/version': 'GET',
  '/v1/status': 'GET',
  '/v1/deploy': 'POST',
  '/v1/deployments/NAME/settled': 'GET',
  '/v1/deployments/NAME': 'DELETE',
  '/v1/scale': 'POST',
  '/v1/restart': 'POST',
  '/v1/logs': 'GET',
  '/v1/listeners': 'GET',
  '/v1/routes': 'GET',
  '/v1/backends': 'GET',
  '/v1/flows': 'GET',
  '/v1/metrics': 'GET',
  '/v1/events': 'GET',
  '/v1/shutdown': 'POST',
} as const

const DEPLOYMENT_PATH = /^\/v1\/deployments\/([^/]+)(\/settled)?$/
