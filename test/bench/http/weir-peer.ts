/** `weir up` as an operator runs it, in front of what all of the peers are in front of. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { place } from '../../shells/node/tls/fixtures.ts'
import { newDirectory, RunningNode } from '../../system/running-node.ts'
import { listening, NGINX, type Ports, writeBackend } from './programs.ts'

export interface WeirPeer extends Ports {
  readonly pid: number
  readonly certificates: string
  stop(): Promise<unknown>
}

/** Its service is the nginx that answers, at that port. */
export async function startWeir(ports: Ports, backend: number): Promise<WeirPeer> {
  const directory = await newDirectory()
  const certificates = join(directory, 'certificates')
  mkdirSync(certificates)
  place(certificates, { default: 'a.example' })
  await writeBackend(directory, backend)
  const deployment = {
    version: 'v1',
    deployment: 'bench',
    services: {
      web: {
        rtype: 'service',
        command: [NGINX, '-p', directory, '-c', 'backend.conf', '-e', 'error.log'],
        scale: { mode: 'fixed', replicas: 1 },
        endpoints: [
          { name: 'tls', protocol: 'https', port: ports.tls, target_port: backend },
          { name: 'plain', protocol: 'http', port: ports.plain, target: 'tls' },
        ].map((endpoint) => ({ ...endpoint, expose: 'public' })),
      },
    },
  }
  const node = { certificates }
  const files = { 'weir.yaml': JSON.stringify(deployment), 'node.yaml': JSON.stringify(node) }
  const words = ['weir.yaml', '--node', 'node.yaml']
  const running = await RunningNode.start(files, { directory, words })
  const stop = () => running.stop()
  try {
    await running.ready()
    for (const port of [backend, ports.plain, ports.tls]) await listening(port)
  } catch (error) {
    await stop()
    throw error
  }
  return { ...ports, pid: running.pid, certificates, stop }
}
