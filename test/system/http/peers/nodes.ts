/** Nodes with HTTP endpoints, for all tests of a file. */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { place } from '../../../shells/node/tls/fixtures.ts'
import { newDirectory, RunningNode } from '../../running-node.ts'

const ORIGIN = fileURLToPath(new URL('programs/origin.ts', import.meta.url))

/** The command of an origin, as YAML. */
export const ORIGIN_COMMAND = JSON.stringify([process.execPath, '--no-warnings', ORIGIN])

export interface Files {
  readonly 'weir.yaml': string
  /** More settings of the node, than its certificates. */
  readonly 'node.yaml'?: string
  readonly [name: string]: string | undefined
}

/** Ready, with a certificate for localhost; who starts it stops it. `made`: its directory. */
export async function startHttpNode(files: Files, made?: string): Promise<RunningNode> {
  const directory = made ?? (await newDirectory())
  await mkdir(join(directory, 'certificates'))
  place(join(directory, 'certificates'), { default: 'default' })
  const node = await RunningNode.start(
    { ...files, 'node.yaml': `certificates: certificates\n${files['node.yaml'] ?? ''}` },
    { directory, words: ['weir.yaml', '--node', 'node.yaml'] },
  )
  try {
    await node.ready()
  } catch (error) {
    await node.stop()
    throw error
  }
  return node
}

/** A service that is an {@link ORIGIN_COMMAND}; endpoints are flow mappings, without braces. */
export const originService = (
  name: string,
  endpoints: readonly string[],
  more: Readonly<Record<string, string>> = {},
): string => `
  ${name}:
    command: ${more.command ?? ORIGIN_COMMAND}
    scale: { ${more.scale ?? 'mode: fixed, replicas: 1'} }
    env: { ${more.env ?? ''} }
    health: { interval: 1s, check: { type: tcp, port: 0 } }
    endpoints: [ ${endpoints.map((endpoint) => `{ ${endpoint} }`).join(', ')} ]
`

export const deploymentOf = (...services: readonly string[]): string =>
  `version: v1\ndeployment: served\nservices:${services.join('')}`
