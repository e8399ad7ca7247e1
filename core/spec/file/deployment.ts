/** The top level of the file. */
import { parseSocketAddress } from '../../net/address.ts'
import type { ApiSpec, Deployment, ExternalSpec } from '../deployment.ts'
import {
  DEPLOYMENT_NAME,
  deploymentNameFault,
  SERVICE_NAME,
  serviceNameFault,
} from '../grammar/names.ts'
import { list, record } from '../schema/collections.ts'
import { byDefault, object, optional, refused, required } from '../schema/objects.ts'
import { bool, oneOf, text } from '../schema/scalars.ts'
import { given, mapped, placed, type Shape } from '../schema/shape.ts'
import { quote } from '../schema/words.ts'
import { endpoint } from './endpoint.ts'
import { health } from './health.ts'
import { service } from './service.ts'

const backend = text('host:port', {
  fault: (written) => {
    const [, host, port] = /^(\[[^\]]+\]|[A-Za-z0-9._-]{1,253}):(\d{1,5})$/.exec(written) ?? []
    const bracketed = host?.startsWith('[') === true
    const numbered = Number(port) >= 1 && Number(port) <= 65535
    const good = numbered && (!bracketed || parseSocketAddress(written) !== undefined)
    return good ? undefined : `must be host:port, not ${quote(written)}`
  },
})

const external: Shape<ExternalSpec> = placed(
  mapped(
    object('external', 'an external', {
      backends: required(list(backend, 'a list of host:port', 1), 'Where it really is.'),
      endpoints: byDefault(list(endpoint, 'a list of endpoints'), [], 'Ports it is reached at.'),
      health: optional(health, 'How its backends are checked.'),
    }),
    ({ backends, endpoints, health }): ExternalSpec => ({
      backends,
      endpoints,
      ...given({ health }),
    }),
  ),
)

const api: Shape<ApiSpec> = placed(
  mapped(
    object('api', 'an api block', {
      enabled: byDefault(bool, false, 'Whether the HTTP interface listens.'),
      bind: byDefault(
        text('an address such as 127.0.0.1:3669', {
          fault: (written) =>
            (parseSocketAddress(written)?.port ?? 0) === 0
              ? `must be an address such as 127.0.0.1:3669, not ${quote(written)}`
              : undefined,
        }),
        '0.0.0.0:3669',
        'Where it listens.',
      ),
      jwt_secret: optional(text('a secret'), 'Signs the tokens it takes.'),
      swagger: byDefault(bool, true, 'Whether it documents itself.'),
    }),
    (read): ApiSpec => ({
      enabled: read.enabled,
      bind: read.bind,
      ...given({ jwtSecret: read.jwt_secret }),
      swagger: read.swagger,
    }),
  ),
)

const names = { pattern: SERVICE_NAME, fault: serviceNameFault }

export const deploymentFile: Shape<Deployment> = mapped(
  object(
    'deployment',
    'the deployment file',
    {
      version: required(oneOf(['v1']), 'Version of the format.', 'v1'),
      deployment: required(
        text('a name', { pattern: DEPLOYMENT_NAME, fault: deploymentNameFault }),
        'Name of the whole: 3-63 letters, digits and hyphens.',
        'unnamed',
      ),
      services: byDefault(
        record(service, 'a map from names to services', names),
        {},
        'What runs, by name: 1-63 lower-case letters, digits and inner hyphens.',
      ),
      externals: byDefault(
        record(external, 'a map from names to externals', names),
        {},
        'Things that run elsewhere and are reached through here.',
      ),
      api: byDefault(api, {}, 'The HTTP interface.'),
      tunnels: refused,
    },
    { name: 'write deployment' },
  ),
  ({ version, deployment, services, externals, api }): Deployment => ({
    version,
    name: deployment,
    services,
    externals,
    api,
  }),
)
