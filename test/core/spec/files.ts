/** Small deployment files as trees, and what is said about them. */
import { decodeDeployment } from '../../../core/spec/decode.ts'
import type { Deployment, ServiceSpec } from '../../../core/spec/deployment.ts'
import { pathKey } from '../../../core/spec/problem.ts'

export type Tree = Record<string, unknown>

/** A file with these services, by name. */
export const fileOf = (services: Tree, more: Tree = {}): Tree => ({
  version: 'v1',
  deployment: 'test',
  services,
  ...more,
})

/** A file with one service, `web`, that is good but for what the keys say. */
export const webWith = (keys: Tree): Tree => fileOf({ web: { command: ['web'], ...keys } })

/** A file whose `web` has one endpoint, http at 8080 but for what the keys say. */
export const endpointWith = (keys: Tree): Tree =>
  webWith({ endpoints: [{ name: 'http', protocol: 'http', port: 8080, ...keys }] })

/** `/services/web/port: message`, a value's place with `=` before it, in order of places. */
export function problemsOf(tree: unknown): readonly string[] {
  const decoded = decodeDeployment(tree)
  if (decoded.ok) return []
  return decoded.problems
    .map(({ path, message, at }) => `${at === 'value' ? '=' : ''}${pathKey(path)}: ${message}`)
    .sort()
}

export function deploymentOf(tree: unknown): Deployment {
  const decoded = decodeDeployment(tree)
  if (!decoded.ok) throw new Error(problemsOf(tree).join('\n'))
  return decoded.deployment
}

export const webOf = (keys: Tree): ServiceSpec => deploymentOf(webWith(keys)).services.web!
