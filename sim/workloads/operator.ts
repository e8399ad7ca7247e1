/**
 * The people (and scripts) that run the node: they deploy, change, scale, restart, remove and
 * shut down at any moment, and remember what they asked for. What the node was truly asked to run
 * is known here, and checkers judge by it.
 */
import type { Instant } from '../../core/machine.ts'
import { unreachable } from '../../core/machine.ts'
import type { Reply } from '../../core/node/commands.ts'
import type { OperatorEvent, RequestId } from '../../core/node/events.ts'
import { parseServiceKey, type ServiceKey, serviceKey } from '../../core/services/identity.ts'
import type { Deployment, ServiceSpec } from '../../core/spec/deployment.ts'
import { sleeps } from '../checkers/ports/wanted.ts'
import { INTERNAL_ADDRESSES, OUTER_ADDRESSES } from '../faults/host-ports.ts'
import type { World } from '../world.ts'
import { ACT_KINDS, type Act, type ActKind, perform } from './acts.ts'
import {
  DEPLOYMENT_NAMES,
  type DeploymentLimits,
  type DeploymentSketch,
  drawDeployment,
  HOST_PORT_FIRST,
  redraw,
} from './deployments.ts'
import { deploymentOf } from './specs.ts'

export interface OperatorOptions {
  /** Mean time between two acts; 0: nothing but what a script does. */
  readonly actEveryMs: number
  readonly limits: DeploymentLimits
  readonly deploymentsMax: number
  /** How often each kind of act comes, against the others; 0: never in this run. */
  readonly weights: Readonly<Record<ActKind, number>>
}

/** A deployment that this life of the node accepted, as its operators see it. */
export interface Wish {
  readonly name: string
  sketch: DeploymentSketch
  deployment: Deployment
  /** By hand, until the next deploy. */
  readonly scaled: Map<string, number>
  /** On the node's clock. */
  acceptedAt: Instant
  /** What the node said last; undefined since the last change. */
  settled: 'ready' | 'failed' | undefined
  removing: boolean
}

interface OpenRequest {
  readonly event: OperatorEvent
  readonly sketch?: DeploymentSketch
}

export class Operator {
  /** By name; what the present life accepted and did not give up. */
  readonly wishes = new Map<string, Wish>()
  /** Rises with every change of `wishes`. */
  revision = 0
  /** Requests that were delivered and not answered. */
  readonly open = new Map<RequestId, OpenRequest>()
  /** What people want, whatever became of the node. */
  readonly memory = new Map<string, DeploymentSketch>()
  /** Requests that are meant to come and were not delivered yet. */
  readonly coming = new Set<number>()
  /** Services with a replica that stays out until somebody restarts it. */
  readonly isolated = new Set<ServiceKey>()
  /** `weir down` was said to this life. */
  stopping: 'drain' | 'abort' | undefined
  private readonly world: World
  private requests = 0
  private plans = 0

  constructor(world: World) {
    this.world = world
  }

  begin(): void {
    if (this.world.options.operator.actEveryMs > 0) this.planNext()
  }

  /** The node is up again: its people deploy what they had, soon or a little later. */
  nodeUp(): void {
    for (const sketch of [...this.memory.values()]) {
      this.soon(this.world.draws.workload.below(50), () => {
        const present = this.memory.get(sketch.name)
        if (present !== undefined && !this.wishes.has(sketch.name)) this.deploy(present)
      })
    }
  }

  /** After the heal: everybody asks once more, and takes back what was put aside for good. */
  sayAgain(): void {
    if (this.stopping !== undefined) return // its successor is asked
    for (const sketch of [...this.memory.values()]) this.deploy(sketch)
    this.soon(10, () => {
      for (const key of this.isolated) this.restart(key)
      this.isolated.clear()
    })
  }

  /** Somebody sees that a service was given up, and has it begin anew. */
  askAgain(key: ServiceKey, afterMs: number): void {
    const { deployment } = parseServiceKey(key)
    this.soon(afterMs, () => {
      const sketch = this.memory.get(deployment)
      if (sketch === undefined || !this.wishes.has(deployment)) return
      this.deploy(sketch)
      if (this.isolated.delete(key)) this.restart(key)
    })
  }

  nodeDown(): void {
    this.wishes.clear()
    this.revision += 1
    this.open.clear()
    this.coming.clear()
    this.isolated.clear()
    this.stopping = undefined
  }

  // Asking ------------------------------------------------------------------------------------

  deploy(sketch: DeploymentSketch): void {
    const deployment = deploymentOf(sketch)
    const request = this.nextRequest()
    this.ask({ type: 'deploy', request, deployment, directory: '/srv' }, request, sketch)
  }

  remove(name: string | undefined): void {
    if (name === undefined) return
    const request = this.nextRequest()
    this.ask({ type: 'remove', request, deployment: name }, request)
  }

  scale(service: ServiceKey | undefined, replicas: number): void {
    if (service === undefined) return
    const request = this.nextRequest()
    this.ask({ type: 'scale', request, service, replicas }, request)
  }

  restart(service: ServiceKey | undefined, replica?: number): void {
    if (service === undefined) return
    const request = this.nextRequest()
    const which = replica === undefined ? {} : { replica }
    this.ask({ type: 'restart', request, service, ...which }, request)
  }

  /** What people type when they are in a hurry: each of these is refused. */
  mistake(pick: number): void {
    const nowhere = serviceKey('nowhere', 'web')
    const [known = nowhere] = this.serviceKeys()
    switch (pick % 5) {
      case 0:
        return this.scale(nowhere, 1)
      case 1:
        return this.scale(known, 1_000_000)
      case 2:
        return this.remove('nowhere')
      case 3:
        return this.restart(known, 1_000_000)
      default:
        return this.scale('web' as ServiceKey, -1)
    }
  }

  shutdown(mode: 'drain' | 'abort'): void {
    const request = this.nextRequest()
    this.ask({ type: 'shutdown', request, mode }, request)
  }

  // Being answered ----------------------------------------------------------------------------

  onReply(request: RequestId, result: Reply): void {
    const asked = this.open.get(request)
    if (asked === undefined) return // the universal checker says what is wrong with it
    this.open.delete(request)
    const { event } = asked
    if (!result.ok) {
      // What cannot be had beside the others is given up.
      if (event.type === 'deploy' && !this.wishes.has(event.deployment.name)) {
        this.memory.delete(event.deployment.name)
      }
      return
    }
    switch (event.type) {
      case 'deploy':
        return this.onDeployed(event.deployment, asked.sketch)
      case 'remove':
        this.wishes.delete(event.deployment)
        this.revision += 1
        return
      case 'scale': {
        const { deployment, service } = parseServiceKey(event.service as ServiceKey)
        const wish = this.wishes.get(deployment)
        wish?.scaled.set(service, event.replicas)
        if (wish !== undefined) wish.settled = undefined
        return
      }
      case 'restart': {
        const wish = this.wishes.get(parseServiceKey(event.service as ServiceKey).deployment)
        if (wish !== undefined) wish.settled = undefined
        return
      }
      case 'boot':
      case 'internal-addresses':
      case 'shutdown':
        return
      default:
        return unreachable(event)
    }
  }

  onSettled(deployment: string, outcome: 'ready' | 'failed'): void {
    const wish = this.wishes.get(deployment)
    if (wish !== undefined) wish.settled = outcome
  }

  private onDeployed(deployment: Deployment, sketch: DeploymentSketch | undefined): void {
    if (sketch === undefined) return
    const { name } = deployment
    this.memory.set(name, sketch)
    this.revision += 1
    this.wishes.set(name, {
      name,
      sketch,
      deployment,
      scaled: new Map(),
      acceptedAt: this.world.nodeNow(),
      settled: undefined,
      removing: false,
    })
  }

  // What is wanted ----------------------------------------------------------------------------

  specOf(key: ServiceKey): ServiceSpec | undefined {
    const { deployment, service } = parseServiceKey(key)
    return this.wishes.get(deployment)?.deployment.services[service]
  }

  /** How many replicas of a service this life was last asked for; 0 when it is to go. */
  wanted(key: ServiceKey): number {
    const { deployment, service } = parseServiceKey(key)
    const wish = this.wishes.get(deployment)
    const spec = wish?.deployment.services[service]
    if (wish === undefined || spec === undefined || wish.removing) return 0
    if (this.stopping !== undefined) return 0
    const scaled = wish.scaled.get(service)
    // One that sleeps is there for whoever comes.
    if (sleeps(spec)) return Math.max(1, scaled ?? 1)
    return scaled ?? (spec.scale.mode === 'fixed' ? spec.scale.replicas : 0)
  }

  serviceKeys(): ServiceKey[] {
    return [...this.wishes.values()].flatMap((wish) =>
      Object.keys(wish.deployment.services).map((service) => serviceKey(wish.name, service)),
    )
  }

  deploymentNames(): string[] {
    return [...this.wishes.keys()]
  }

  // Drawing acts ------------------------------------------------------------------------------

  private planNext(): void {
    const { world } = this
    const { actEveryMs } = world.options.operator
    world.at(world.draws.workload.between(1, 2 * actEveryMs), () => {
      if (world.healed) return
      const act = this.draw()
      if (act !== undefined) perform(world, act)
      this.planNext()
    })
  }

  private draw(): Act | undefined {
    const { world } = this
    const draw = world.draws.workload
    const { limits, weights } = world.options.operator
    if (this.memory.size === 0) return this.drawDeploy('deploy-new')
    const kind = ACT_KINDS[draw.weighted(ACT_KINDS.map((each) => weights[each]))]
    const pick = draw.below(1_000)
    switch (kind) {
      case undefined:
        return undefined
      case 'deploy-new':
      case 'deploy-same':
      case 'deploy-changed':
        return this.drawDeploy(kind)
      case 'remove':
        return { type: 'remove', pick }
      case 'scale':
        return { type: 'scale', pick, replicas: draw.below(limits.replicasMax + 1) }
      case 'restart':
        return { type: 'restart', pick }
      case 'restart-one':
        return { type: 'restart', pick, replica: draw.between(1, limits.replicasMax) }
      case 'mistake':
        return { type: 'mistake', pick }
      case 'drain':
      case 'abort':
        return { type: 'shutdown', mode: kind }
      case 'kill':
        return { type: 'kill', pick }
      case 'sicken':
        return { type: 'sicken', pick, forMs: draw.between(1, 30_000) }
      case 'stranger': {
        const port = HOST_PORT_FIRST + draw.below(limits.hostPorts)
        const host = draw.pick(STRANGER_HOSTS)
        const namespace = draw.below(3) === 0 ? 'udp' : 'tcp'
        return { type: 'stranger', namespace, host, port, forMs: draw.between(1, 20_000) }
      }
      case 'internal': {
        const addresses = INTERNAL_ADDRESSES.filter(() => draw.below(2) === 0)
        return { type: 'internal', addresses, lateMs: draw.pick([0, 0, 500, 40_000]) }
      }
      case 'crash':
        return { type: 'crash', downMs: draw.between(1, 5_000) }
      case 'pause':
        return { type: 'pause', forMs: draw.between(1, 20_000) }
      case 'leap':
        return { type: 'leap', byMs: draw.pick([1, 999, 60_000, 3_600_000]) }
      case 'restore':
        return { type: 'restore', keepTwin: draw.below(2) === 0 }
      default:
        return unreachable(kind)
    }
  }

  private drawDeploy(kind: 'deploy-new' | 'deploy-same' | 'deploy-changed'): Act {
    const draw = this.world.draws.workload
    const { limits, deploymentsMax } = this.world.options.operator
    const known = [...this.memory.values()]
    if (kind === 'deploy-new' || known.length === 0) {
      const name = draw.pick(DEPLOYMENT_NAMES.slice(0, deploymentsMax))
      const sketch = drawDeployment(name, limits, draw)
      if (!limits.publishing || deploymentsMax < 2 || draw.below(4) > 0) {
        return { type: 'deploy', sketch }
      }
      const other = DEPLOYMENT_NAMES.slice(0, deploymentsMax).find((each) => each !== name)
      return { type: 'deploy', sketch, rival: { ...sketch, name: other ?? name } }
    }
    const sketch = draw.pick(known)
    return {
      type: 'deploy',
      sketch: kind === 'deploy-same' ? sketch : redraw(sketch, limits, draw),
    }
  }

  private soon(delayMs: number, ask: () => void): void {
    this.plans -= 1 // below zero: never a request's number
    const plan = this.plans
    this.coming.add(plan)
    this.world.at(delayMs, () => {
      if (this.coming.delete(plan)) ask()
    })
  }

  private nextRequest(): RequestId {
    this.requests += 1
    return this.requests
  }

  /** A moment later, if the node is there by then: an operator talks to a living process. */
  private ask(event: OperatorEvent, request: RequestId, sketch?: DeploymentSketch): void {
    const { world } = this
    if (world.life === 'down') {
      if (event.type === 'remove') this.memory.delete(event.deployment)
      return
    }
    this.coming.add(request)
    world.inNode(world.draws.schedule.below(3), () => {
      this.coming.delete(request)
      this.open.set(request, sketch === undefined ? { event } : { event, sketch })
      if (event.type === 'remove') {
        const wish = this.wishes.get(event.deployment)
        if (wish !== undefined) wish.removing = true
        this.memory.delete(event.deployment)
      }
      if (event.type === 'shutdown' && this.stopping !== 'abort') this.stopping = event.mode
      world.step(event)
    })
  }
}

const STRANGER_HOSTS = ['0.0.0.0', '0.0.0.0', '127.0.0.1', '::', ...OUTER_ADDRESSES] as const
