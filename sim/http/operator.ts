/**
 * Whoever runs the ingress: what it was told of ports, routes, listeners and sets, and what is true
 * of them since. Acts order; what was ordered counts from the step in which the machine learns it.
 */
import type { Backend, BackendId } from '../../core/balance/group.ts'
import { strategyNamed } from '../../core/balance/strategies.ts'
import {
  defaultHttpListenerConfig,
  defaultIngressConfig,
  type HttpListenerConfig,
  type HttpRoute,
  type IngressConfig,
  type PortLimits,
} from '../../core/http/config.ts'
import type { HttpListenerId, IngressEvent, PortId, WhenEmpty } from '../../core/http/events.ts'
import type { Instant } from '../../core/machine.ts'
import { hostOf, LISTENERS, PORTS } from './network/places.ts'
import type { HttpWorld } from './world.ts'

/** A listener, as the machine was told. */
export interface ListenerTruth {
  readonly id: HttpListenerId
  config: HttpListenerConfig
  version: number
  set: Map<BackendId, Backend>
  /** Who may be chosen. */
  candidates: Set<BackendId>
  whenEmpty: WhenEmpty
  phase: 'open' | 'closed' | 'aborting'
  /** When a set was learnt last. */
  setAt: Instant
  /** Where each backend was last, and since when: elsewhere it is another one. */
  readonly places: Map<BackendId, { readonly place: string; readonly since: Instant }>
}

interface ListenerSettings {
  readonly id: HttpListenerId
  readonly config: HttpListenerConfig
}

interface Past<T> {
  readonly what: T
  readonly until: Instant
}

export interface PortTruth {
  readonly id: PortId
  routes: readonly HttpRoute[]
  limits: PortLimits | undefined
}

export class Operator {
  config: IngressConfig
  /** Those that did not say `emptied`. */
  readonly listeners = new Map<HttpListenerId, ListenerTruth>()
  readonly ports = new Map<PortId, PortTruth>()
  readonly challenges = new Map<string, string>()
  /** Rises with everything that is learnt. */
  revision = 0
  /** When something was cut or aborted last. */
  cutAt: Instant = Number.NEGATIVE_INFINITY
  abortedAt: Instant = Number.NEGATIVE_INFINITY
  /** All that was ever in force, and until when. */
  readonly #settings: Past<ListenerSettings>[] = []
  readonly #routes: Past<PortTruth>[] = []
  readonly #limits: Past<PortLimits>[] = []
  readonly #configs: Past<IngressConfig>[] = []
  readonly #world: HttpWorld
  readonly #open = new Set<PortId>()
  readonly #orders: (() => void)[] = []

  constructor(world: HttpWorld) {
    this.#world = world
    this.config = world.options.config
    this.#limits.push({ what: this.config.limits, until: Number.POSITIVE_INFINITY })
  }

  boot(): void {
    for (const [index, { id }] of LISTENERS.entries()) {
      this.open(id, this.#world.options.listeners[index]!)
    }
    for (const { id } of PORTS) this.routes(id)
  }

  /** Orders are learnt in the order they are given. */
  #inTurn(run: () => void): void {
    this.#orders.push(run)
    this.#world.inProcess(0, () => this.#orders.shift()?.())
  }

  // What it orders -------------------------------------------------------------------------------

  order(event: IngressEvent): void {
    this.#inTurn(() => this.#world.tell(event))
  }

  /** Makes a listener, or gives it other settings. */
  open(listener: HttpListenerId, config: HttpListenerConfig): void {
    const { seed, strategy, failOpen } = this.#world.options
    const balance = { strategy: strategyNamed(strategy, seed), failOpen }
    this.#inTurn(() => {
      const known = this.listeners.get(listener)
      if (known !== undefined && known.phase !== 'open') return // not before it is gone
      const made = known === undefined ? { balance } : {}
      this.#world.tell({ type: 'configure-listener', listener, config, ...made })
      if (known === undefined) this.#apply(listener, this.drawSet(), 'refuse')
    })
  }

  set(listener: HttpListenerId, backends: readonly Backend[], whenEmpty: WhenEmpty): void {
    this.#inTurn(() => this.#apply(listener, backends, whenEmpty))
  }

  /** All of its backends, or none where it is closed and waits for that. */
  mend(listener: HttpListenerId): void {
    this.#inTurn(() => {
      const isOpen = this.listeners.get(listener)?.phase === 'open'
      if (!isOpen) this.#apply(listener, [], 'refuse')
      else if (this.#world.healed) this.#apply(listener, wholeSet(), 'refuse')
    })
  }

  routes(port: PortId, routes = this.drawRoutes(), limits?: PortLimits): void {
    const { number } = PORTS.find(({ id }) => id === port)!
    this.#open.add(port)
    const limited = limits === undefined ? {} : { limits }
    this.order({ type: 'apply-routes', port, number, routes, ...limited })
  }

  closePort(port: PortId): void {
    this.#open.delete(port)
    this.order({ type: 'close-port', port })
  }

  /** Routes lead there no more, and then it is told. */
  closeListener(listener: HttpListenerId, how: 'close-listener' | 'abort-listener'): void {
    this.#inTurn(() => {
      if (!this.listeners.has(listener)) return
      for (const { id, routes, limits } of [...this.ports.values()]) {
        const left = routes.filter((route) => route.listener !== listener)
        if (this.#open.has(id) && left.length < routes.length) this.#reroute(id, left, limits)
      }
      this.#world.tell({ type: how, listener })
    })
  }

  isOpen(port: PortId): boolean {
    return this.#open.has(port) && this.ports.has(port)
  }

  drawSet(): readonly Backend[] {
    const draw = this.#world.draws.acts
    if (this.#world.healed) return wholeSet()
    return BACKENDS.filter(() => draw.below(4) > 0).map(
      (id): Backend => ({
        id,
        host: hostOf(id),
        port: draw.pick([8_000, 8_000, 8_000, 8_001]),
        ...(draw.below(5) === 0 ? { down: true } : {}),
        ...(draw.below(5) === 0 ? { backup: true } : {}),
        ...(draw.below(3) === 0 ? { weight: draw.between(1, 100) } : {}),
      }),
    )
  }

  drawRoutes(): readonly HttpRoute[] {
    const { draws, options, healed } = this.#world
    const draw = draws.acts
    const listeners = LISTENERS.map(({ id }) => id)
    const any: HttpRoute = { path: '/', listener: draw.pick(listeners) }
    if (healed) return [any, ...listeners.map((id) => ({ path: `/${id}`, listener: id }))]
    const some = Array.from({ length: draw.below(options.routesMax + 1) }, (): HttpRoute => {
      const host = draw.pick(['', 'a.example', 'b.example', '*.b.example'])
      const redirects = draw.below(6) === 0
      return {
        path: draw.pick(['/', '/api', '/api/v1', '/other']),
        listener: draw.pick(listeners),
        ...(host === '' ? {} : { host }),
        ...(redirects ? { redirectTo: draw.pick([443, 8_443]) } : {}),
      }
    })
    return draw.below(5) === 0 ? some : [...some, any]
  }

  /** Of any listener, in force then or since. */
  settingsSince(at: Instant): readonly HttpListenerConfig[] {
    const now = [...this.listeners.values()].map(({ config }) => config)
    return [...now, ...since(this.#settings, at).map(({ config }) => config)]
  }

  /** Of this one, likewise. */
  settingsOf(listener: HttpListenerId, at: Instant): readonly HttpListenerConfig[] {
    const before = since(this.#settings, at).filter(({ id }) => id === listener)
    const now = this.listeners.get(listener)
    return [...(now === undefined ? [] : [now]), ...before].map(({ config }) => config)
  }

  routesSince(port: PortId, at: Instant): readonly (readonly HttpRoute[])[] {
    const before = since(this.#routes, at).filter(({ id }) => id === port)
    const now = this.ports.get(port)
    return [...(now === undefined ? [] : [now]), ...before].map(({ routes }) => routes)
  }

  limitsSince(at: Instant): readonly PortLimits[] {
    const now = [...this.ports.values()].flatMap(({ limits }) => limits ?? [])
    return [...now, this.config.limits, ...since(this.#limits, at)]
  }

  configsSince(at: Instant): readonly IngressConfig[] {
    return [this.config, ...since(this.#configs, at)]
  }

  /** It says that it is empty. */
  forget(listener: HttpListenerId): void {
    const known = this.listeners.get(listener)
    if (known === undefined) return
    this.#past(this.#settings, { id: known.id, config: known.config })
    this.listeners.delete(listener)
  }

  #past<T>(list: Past<T>[], what: T): void {
    list.push({ what, until: this.#world.machineNow() })
    if (list.length > PAST_MAX) list.shift()
  }

  // What is so since the machine knows -----------------------------------------------------------

  learn(event: IngressEvent): void {
    if (!('client' in event) && !('upstream' in event) && event.type !== 'tick') this.revision += 1
    switch (event.type) {
      case 'configure':
        this.#past(this.#configs, this.config)
        this.#past(this.#limits, this.config.limits)
        this.config = event.config
        return
      case 'cut-backend':
        this.cutAt = this.#world.machineNow()
        return
      case 'configure-listener':
        return this.#learnListener(event.listener, event.config)
      case 'apply-backends':
        return this.#learnSet(event)
      case 'close-listener':
      case 'abort-listener': {
        const listener = this.listeners.get(event.listener)
        const phase = event.type === 'abort-listener' ? 'aborting' : 'closed'
        if (phase === 'aborting') this.abortedAt = this.#world.machineNow()
        if (listener !== undefined && listener.phase !== 'aborting') listener.phase = phase
        return
      }
      case 'apply-routes':
        this.#pastPort(event.port)
        this.ports.set(event.port, { id: event.port, routes: event.routes, limits: event.limits })
        return
      case 'close-port':
        this.#pastPort(event.port)
        this.ports.delete(event.port)
        return
      case 'challenge':
        if (event.answer === undefined) this.challenges.delete(event.token)
        else this.challenges.set(event.token, event.answer)
    }
  }

  #pastPort(port: PortId): void {
    const known = this.ports.get(port)
    if (known === undefined) return
    this.#past(this.#routes, known)
    if (known.limits !== undefined) this.#past(this.#limits, known.limits)
  }

  #learnListener(id: HttpListenerId, config: HttpListenerConfig): void {
    const known = this.listeners.get(id)
    if (known !== undefined) {
      this.#past(this.#settings, { id: known.id, config: known.config })
      known.config = config
    } else {
      this.listeners.set(id, {
        id,
        config,
        version: 0,
        set: new Map(),
        candidates: new Set(),
        whenEmpty: 'refuse',
        phase: 'open',
        setAt: this.#world.machineNow(),
        places: new Map(),
      })
    }
  }

  #learnSet(event: Extract<IngressEvent, { type: 'apply-backends' }>): void {
    const { listener: id, version, backends, whenEmpty } = event
    const listener = this.listeners.get(id)
    if (listener === undefined || version <= listener.version) return
    listener.version = version
    listener.whenEmpty = whenEmpty
    listener.setAt = this.#world.machineNow()
    listener.set = new Map(backends.map((each) => [each.id, each]))
    for (const backend of [...listener.places.keys()]) {
      if (!listener.set.has(backend)) listener.places.delete(backend) // back again it is another
    }
    for (const { id: backend, host, port } of backends) {
      const place = `${host} ${port}`
      if (listener.places.get(backend)?.place === place) continue
      listener.places.set(backend, { place, since: listener.setAt })
    }
    const up = backends.filter(({ down }) => down !== true)
    const main = up.filter(({ backup }) => backup !== true)
    const isFailingOpen = up.length === 0 && this.#world.options.failOpen
    const chosenFrom = main.length > 0 ? main : isFailingOpen ? backends : up
    listener.candidates = new Set(chosenFrom.map((each) => each.id))
  }

  #apply(listener: HttpListenerId, backends: readonly Backend[], whenEmpty: WhenEmpty): void {
    const truth = this.listeners.get(listener)
    if (truth === undefined) return
    const version = truth.version + 1
    this.#world.tell({ type: 'apply-backends', listener, version, backends, whenEmpty })
  }

  #reroute(port: PortId, routes: readonly HttpRoute[], limits: PortLimits | undefined): void {
    const { number } = PORTS.find(({ id }) => id === port)!
    const limited = limits === undefined ? {} : { limits }
    this.#world.tell({ type: 'apply-routes', port, number, routes, ...limited })
  }
}

const since = <T>(list: readonly Past<T>[], at: Instant): T[] =>
  list.flatMap(({ what, until }) => (until >= at ? [what] : []))

const wholeSet = (): readonly Backend[] =>
  BACKENDS.map((id) => ({ id, host: hostOf(id), port: 8_000 }))

export const roomyConfig: IngressConfig = defaultIngressConfig

export const roomyListener = (protocol: 'http1' | 'h2c'): HttpListenerConfig => ({
  ...defaultHttpListenerConfig,
  backend: protocol,
})

const BACKENDS: readonly BackendId[] = ['b0', 'b1', 'b2', 'b3']

const PAST_MAX = 200
