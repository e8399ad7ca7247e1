/** The files that a deployment names for checking its replicas: found, and fit for their use. */
import { X509Certificate } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { getSystemErrorMessage } from 'node:util'
import type { Deployment, EndpointSpec, ServiceSpec } from '../../../core/spec/deployment.ts'
import type { Problem } from '../../../core/spec/problem.ts'

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
      const fault = stream.backendCa === undefined ? undefined : faultOf(stream.backendCa)
      if (fault === undefined) return []
      const path = ['services', name, 'endpoints', index, 'stream', 'backend_ca']
      return [{ path, message: `backend_ca ${fault}`, at: 'value' }]
    }),
  )
}

function faultOf(file: string): string | undefined {
  let text: string
  try {
    const found = statSync(file)
    // reading a pipe would wait for whoever writes into it
    if (!found.isFile()) return `cannot be used: ${file} is not a file`
    if (found.size > BYTES_MAX) return `cannot be used: ${file} is larger than 1 MiB`
    text = readFileSync(file, 'utf8')
  } catch (error) {
    return `cannot be read: ${file}: ${systemText(error)}`
  }
  const blocks = text.match(CERTIFICATE) ?? []
  if (blocks.length === 0) return `cannot be used: ${file} holds no certificate in PEM form`
  return blocks.every(isReadable)
    ? undefined
    : `cannot be used: ${file} holds a certificate that cannot be read`
}

function isReadable(block: string): boolean {
  try {
    return new X509Certificate(block) !== undefined
  } catch {
    return false
  }
}

function systemText(error: unknown): string {
  const { errno, message } = error as NodeJS.ErrnoException
  return typeof errno === 'number' ? getSystemErrorMessage(errno) : message
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g
const BYTES_MAX = 1024 ** 2
