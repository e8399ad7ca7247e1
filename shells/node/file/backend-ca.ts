/** The files that a deployment names for checking its replicas: found, and fit for their use. */
import { resolve } from 'node:path'
import type { Deployment, EndpointSpec, ServiceSpec } from '../../../core/spec/deployment.ts'
import type { Problem } from '../../../core/spec/problem.ts'
import { pemFault } from './pem-file.ts'

/** The same deployment with absolute paths: whoever uses them need not know where the file was. */
export function withAbsolutePaths(deployment: Deployment, directory: string): Deployment {
  const endpointOf = (endpoint: EndpointSpec): EndpointSpec => {
    const { stream } = endpoint
    if (stream.backendCa === undefined) return endpoint
    return { ...endpoint, stream: { ...stream, backendCa: resolve(directory, stream.backendCa) } }
  }
  const serviceOf = (spec: ServiceSpec): ServiceSpec => ({
    ...spec,
    endpoints: spec.endpoints.map(endpointOf),
  })
  const services = Object.entries(deployment.services)
  return {
    ...deployment,
    services: Object.fromEntries(services.map(([name, spec]) => [name, serviceOf(spec)])),
  }
}

/** Of a deployment with absolute paths: `backend_ca` that cannot be read or holds no certificate. */
export function backendCaProblems(deployment: Deployment): readonly Problem[] {
  return Object.entries(deployment.services).flatMap(([name, { endpoints }]) =>
    endpoints.flatMap(({ stream }, index): Problem[] => {
      const fault = stream.backendCa === undefined ? undefined : pemFault(stream.backendCa)
      if (fault === undefined) return []
      const path = ['services', name, 'endpoints', index, 'stream', 'backend_ca']
      return [{ path, message: `backend_ca ${fault}`, at: 'value' }]
    }),
  )
}
