/** Nodes with TCP endpoints, and what they tell about them. */
import { readdirSync, readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished } from 'vitest'
import type { ListenerView, ReplicaView } from '../../../../core/node/view.ts'
import { place } from '../../../shells/node/tls/fixtures.ts'
import { RunningNode } from '../../running-node.ts'
import { ANSWERER } from './line-client.ts'

export interface Files {
  readonly 'weir.yaml': string
  /** Settings of the node, if any. */
  readonly 'node.yaml'?: string
  readonly [name: string]: string | undefined
}

/** Ready, and stopped with the test it was started in; with an answerer in `answerer.mjs`. */
export async function startNode(
  files: Files,
  options: { readonly directory?: string; readonly under?: readonly string[] } = {},
): Promise<RunningNode> {
  const given = Object.entries({ 'answerer.mjs': ANSWERER, ...files })
  const written = Object.fromEntries(given.filter(([, text]) => text !== undefined)) as Record<
    string,
    string
  >
  const words = files['node.yaml'] === undefined ? [] : ['weir.yaml', '--node', 'node.yaml']
  const node = await RunningNode.start(written, { ...options, words })
  onTestFinished(async () => void (await node.stop()))
  await node.ready()
  return node
}

/** Brings a file to a node, and waits until it is so. */
export async function deploy(node: RunningNode, text: string, ...words: string[]): Promise<void> {
  await writeFile(join(node.directory, 'next.yaml'), text)
  const answer = await node.weir('deploy', 'next.yaml', ...words)
  expect(answer, JSON.stringify(answer)).toMatchObject({ code: 0 })
}

/** Of pairs by name, as `place` takes them; there until the test is over. */
export async function certificateDirectory(pairs: Parameters<typeof place>[1]): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'weir-certificates-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  place(directory, pairs)
  return directory
}

export const listenersOf = (node: RunningNode): Promise<readonly ListenerView[]> =>
  node.json<ListenerView[]>('listeners')

export const replicasOf = async (node: RunningNode, service: string) =>
  (await node.json<ReplicaView[]>('ps')).filter((each) => each.service === service)

export const descriptorsOf = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length

/** Bytes of memory that a process has in use. */
export const residentBytes = (pid: number): number =>
  Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024

/** A socket that has the port until the test is over; rejects when somebody else has it. */
export async function bound(port: number, host: string): Promise<Server> {
  const server = createServer()
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ port, host, exclusive: true }, resolve)
  })
  onTestFinished(() => void server.close())
  return server
}

export const closed = (server: Server): Promise<void> =>
  new Promise((resolve) => server.close(() => resolve()))

export const titleOf = (title: string, ...reasons: readonly (string | undefined)[]): string => {
  const given = reasons.filter((reason) => reason !== undefined)
  return given.length === 0 ? title : `${title} (${given.join('; ')})`
}
