/** Nodes that run UDP one way or the other, and what they tell about it. */
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { expect } from 'vitest'
import { batchProblem } from '../../../shells/node/udp/batch-host.ts'
import { RunningNode } from '../running-node.ts'

export type Way = 'batch' | 'dgram'

const noBatch = await batchProblem()
if (noBatch !== undefined && process.env.WEIR_REQUIRE_SYSTEM === '1') {
  throw new Error(`UDP in batches does not work here: ${noBatch}`)
}

/** Both ways, each with the reason why it cannot be tried here. */
export const WAYS: readonly { readonly way: Way; readonly lacks: string | undefined }[] = [
  { way: 'batch', lacks: noBatch },
  { way: 'dgram', lacks: undefined },
]

export const titleOf = (title: string, ...reasons: readonly (string | undefined)[]): string => {
  const given = reasons.filter((reason) => reason !== undefined)
  return given.length === 0 ? title : `${title} (${given.join('; ')})`
}

/** A node with UDP endpoints, ready, of which it is certain how it runs them. */
export async function startNode(
  way: Way,
  files: Readonly<Record<string, string>>,
  under: readonly string[] = [],
): Promise<RunningNode> {
  const node = await RunningNode.start(files, { under: [...under, 'env', `WEIR_UDP=${way}`] })
  try {
    await node.ready()
    expect(wayOf(node)).toBe(way)
  } catch (error) {
    await node.stop()
    throw error
  }
  return node
}

/** Batches are made with a library that the plain way does without. */
function wayOf({ pid, output }: RunningNode): Way {
  const hasLibrary = /koffi/.test(readFileSync(`/proc/${pid}/maps`, 'utf8'))
  return hasLibrary && !output.includes('plain sockets') ? 'batch' : 'dgram'
}

/** Samples of a metric by the labels that tell them apart, `out` or `shed`; summed where equal. */
export async function metric(
  node: RunningNode,
  name: string,
  label: 'backend' | 'direction' | 'endpoint' | 'reason' | 'service' = 'endpoint',
): Promise<Record<string, number>> {
  const { out } = await node.weir('metrics')
  const samples: Record<string, number> = {}
  for (const [, full, labels = '', value] of out.matchAll(/^(\w+)\{(.*)\} (\S+)$/gm)) {
    if (full !== name) continue
    const key = new RegExp(`(?:^|,)${label}="([^"]*)"`).exec(labels)?.[1] ?? ''
    samples[key] = (samples[key] ?? 0) + Number(value)
  }
  return samples
}

/** What was lost anywhere in a node, by reason; empty when nothing was. */
export async function dropped(node: RunningNode): Promise<Record<string, number>> {
  const samples = await metric(node, 'weir_udp_datagrams_dropped_total', 'reason')
  return Object.fromEntries(Object.entries(samples).filter(([, value]) => value > 0))
}

/** Ports from the kernel, all different, free for UDP and for TCP when this returns. */
export async function freePortPairs(count: number): Promise<number[]> {
  const ports: number[] = []
  const held: Socket[] = []
  while (ports.length < count) {
    const socket = await bound(0, '0.0.0.0')
    held.push(socket)
    const { port } = socket.address()
    const server = createServer().listen(port, '0.0.0.0')
    const isFree = await once(server, 'listening').then(
      () => true,
      () => false,
    )
    if (!isFree) continue
    await new Promise((resolve) => server.close(resolve))
    ports.push(port)
  }
  await Promise.all(held.map(closed))
  return ports
}

/** A zombie that nobody has waited for yet is dead. */
export function isAlive(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}

/** A socket that has the port; rejects with the system's error when somebody else has. */
export async function bound(port: number, address: string): Promise<Socket> {
  const socket = createSocket('udp4')
  socket.bind({ port, address, exclusive: true })
  await once(socket, 'listening')
  return socket
}

export const closed = (socket: Socket): Promise<void> =>
  new Promise((resolve) => socket.close(() => resolve()))
