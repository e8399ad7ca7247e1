/** What an operator server talks to, with answers the test decides. */

import type { Reply } from '../../../../core/node/commands.ts'
import type { NodeView } from '../../../../core/node/view.ts'
import { PublishLedger } from '../../../../core/publish/ledger.ts'
import type { ListenerFlows, ListenerLoad } from '../../../../shells/node/listener/listeners.ts'
import type { LogLine } from '../../../../shells/node/log/store.ts'
import type {
  DeploySource,
  NoticeLine,
  SettledAnswer,
  VersionAnswer,
} from '../../../../shells/node/operator/api.ts'
import type { ListenerBackends } from '../../../../shells/node/operator/backends.ts'
import type { DeployAnswer, OperatedNode } from '../../../../shells/node/operator/server.ts'

export const VERSION: VersionAnswer = {
  name: 'weir',
  version: '1.2.3',
  pid: process.pid,
  node: '0123456789abcdef',
  state: '/state',
  since: '2024-05-06T07:08:09.000Z',
}

export class FakeNode implements OperatedNode {
  readonly asked: unknown[] = []
  readonly logFollowers = new Set<(line: LogLine) => void>()
  readonly eventFollowers = new Set<(line: NoticeLine) => void>()
  readonly settledWaiting = new Set<(settled: SettledAnswer | undefined) => void>()
  readonly #stopping = Promise.withResolvers<void>()
  readonly stopped = this.#stopping.promise
  services: string[] = ['shop/web']
  sockets: NodeView['listeners'] = []
  nodeSockets: NodeView['node'] = []
  replicas: NodeView['replicas'] = []
  routes: NodeView['routes'] = []
  reply: Reply = { ok: true, text: 'done' }
  deployAnswer: DeployAnswer = { ok: true, name: 'shop', text: 'deployed', warnings: ['w'] }
  lines: LogLine[] = []
  events: NoticeLine[] = []

  stop(): void {
    this.#stopping.resolve()
  }

  version(): VersionAnswer {
    return VERSION
  }

  view(): NodeView {
    const services = this.services.map((key) => {
      const [deployment = '', service = ''] = key.split('/')
      return { deployment, service }
    }) as unknown as NodeView['services']
    const { sockets: listeners, nodeSockets: node, replicas, routes } = this
    const ports = new PublishLedger().counters
    return { phase: 'running', deployments: [], services, replicas, listeners, routes, node, ports }
  }

  async deploy(source: DeploySource): Promise<DeployAnswer> {
    this.asked.push(['deploy', source])
    return this.deployAnswer
  }

  whenSettled(
    deployment: string,
    answer: (settled: SettledAnswer | undefined) => void,
  ): () => void {
    this.asked.push(['settled', deployment])
    this.settledWaiting.add(answer)
    return () => this.settledWaiting.delete(answer)
  }

  async remove(deployment: string): Promise<Reply> {
    this.asked.push(['remove', deployment])
    return this.reply
  }

  async scale(service: string, replicas: number): Promise<Reply> {
    this.asked.push(['scale', service, replicas])
    return this.reply
  }

  async restart(service: string, replica?: number): Promise<Reply> {
    this.asked.push(['restart', service, replica])
    return this.reply
  }

  readonly logs: OperatedNode['logs'] = {
    read: (filter) => {
      this.asked.push(['read', filter])
      return this.lines
    },
    follow: (_filter, onLine) => {
      this.logFollowers.add(onLine)
      return () => this.logFollowers.delete(onLine)
    },
  }

  flowLists: readonly ListenerFlows[] = []
  flows: () => Promise<readonly ListenerFlows[]> = async () => this.flowLists
  loads: () => Promise<readonly ListenerLoad[]> = async () => []
  counts: readonly ListenerBackends[] = []
  readonly listeners: OperatedNode['listeners'] = {
    backendCounts: async () => this.counts,
    flows: () => this.flows(),
    load: () => this.loads(),
  }

  metricsText = ''
  async metrics(): Promise<string> {
    return this.metricsText
  }

  recentEvents(): readonly NoticeLine[] {
    return this.events
  }

  onEvent(listener: (line: NoticeLine) => void): () => void {
    this.eventFollowers.add(listener)
    return () => this.eventFollowers.delete(listener)
  }

  shutdown(mode: 'drain' | 'abort'): Promise<void> {
    this.asked.push(['shutdown', mode])
    return this.stopped
  }
}

export const logLine = (text: string): LogLine => ({
  at: '2024-05-06T07:08:09.000Z',
  deployment: 'shop',
  service: 'web',
  replica: 1,
  stream: 'out',
  text,
})

export const noticeLine = (text: string): NoticeLine => ({
  at: '2024-05-06T07:08:09.000Z',
  level: 'info',
  code: 'healthy',
  text,
})
