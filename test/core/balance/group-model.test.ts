/** The group beside a model of it that keeps everything in plain lists. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Backend, BackendGroup, type Member } from '../../../core/balance/group.ts'
import { checkInvariants } from '../../../core/balance/invariants.ts'
import { type StrategyName, strategyNamed } from '../../../core/balance/strategies.ts'
import type { AffinityKey } from '../../../core/balance/strategy.ts'

const IDS = 'ABCDE'

const backend: fc.Arbitrary<Backend> = fc.record(
  {
    id: fc.constantFrom(...IDS),
    host: fc.constantFrom('10.0.0.1', '10.0.0.2', '::1', 'name'),
    port: fc.constantFrom(53, 54),
    weight: fc.constantFrom(1, 3),
    backup: fc.boolean(),
    down: fc.boolean(),
  },
  { requiredKeys: ['id', 'host', 'port'] },
)

type Action =
  | { readonly type: 'set'; readonly version: number; readonly backends: readonly Backend[] }
  | { readonly type: 'choose'; readonly exclude: readonly string[]; readonly key?: AffinityKey }
  | { readonly type: 'take' | 'release' | 'forget'; readonly pick: number }
  | { readonly type: 'limit'; readonly max: number }
  | { readonly type: 'restore' }

const pick = fc.nat(50)
const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      type: fc.constant('set' as const),
      version: fc.constantFrom(-1, 0, 1, 1, 1, 1),
      backends: fc.array(backend, { maxLength: 6 }),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record(
      {
        type: fc.constant('choose' as const),
        exclude: fc.subarray([...IDS], { maxLength: 3 }),
        key: fc.record({ high: fc.integer(), low: fc.integer() }),
      },
      { requiredKeys: ['type', 'exclude'] },
    ),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('take' as const), pick }) },
  { weight: 6, arbitrary: fc.record({ type: fc.constant('release' as const), pick }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('forget' as const), pick }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('limit' as const), max: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('restore' as const) }) },
)

/** A backend's stay: from the set it came with until nothing is left of it. */
interface Stay {
  readonly id: string
  readonly index: number
  backend: Backend
  place: 'serving' | 'draining' | 'forgotten'
  live: number
}

class Model {
  group: BackendGroup
  readonly #name: StrategyName
  readonly #failOpen: boolean
  #stays: Stay[] = []
  #version = 0
  #livesMax = 0

  constructor(name: StrategyName, failOpen: boolean) {
    this.#name = name
    this.#failOpen = failOpen
    this.group = new BackendGroup({ strategy: strategyNamed(name, 1), failOpen })
  }

  run(step: Action): void {
    const { group } = this
    switch (step.type) {
      case 'set':
        this.#apply(group.version + step.version, step.backends)
        break
      case 'choose': {
        const eligible = this.#open().filter(({ id }) => !step.exclude.includes(id))
        const chosen = group.choose(step.exclude, step.key)
        if (eligible.length === 0) expect(chosen).toBeUndefined()
        else this.#stayOf(chosen!, eligible).live += 1
        break
      }
      case 'take': {
        const stay = this.#nth('serving', step.pick) ?? this.#nth('draining', step.pick)
        if (stay === undefined) break
        group.take(group.find(stay.id)!)
        stay.live += 1
        break
      }
      case 'release': {
        const carrying = this.#stays.filter(({ live }) => live > 0)
        if (carrying.length > 0) this.#release(carrying[step.pick % carrying.length]!)
        break
      }
      case 'forget': {
        const stay = this.#nth('draining', step.pick)
        if (stay === undefined) break
        group.forget(group.at(stay.index))
        stay.place = 'forgotten'
        break
      }
      case 'limit':
        group.limit(step.max)
        this.#livesMax = step.max
        break
      case 'restore': {
        const saved = JSON.parse(JSON.stringify(group.snapshot(7)))
        const strategy = strategyNamed(this.#name, 1)
        const options = { failOpen: this.#failOpen, livesMax: this.#livesMax }
        this.group = BackendGroup.restore(saved, 7, { strategy, ...options })
        expect(this.group.snapshot(7)).toEqual(saved)
      }
    }
    this.#compare()
  }

  #apply(version: number, backends: readonly Backend[]): void {
    const members = new Map(this.#serving().map(({ id }) => [id, this.group.find(id)!]))
    const left = this.group.apply(version, backends)
    if (version <= this.#version) {
      expect(left).toEqual([])
      return
    }
    this.#version = version
    const next = new Map<string, Backend>()
    for (const each of backends) if (!next.has(each.id)) next.set(each.id, each)
    const before = this.#serving()
    const leaving = before.filter(({ id }) => !next.has(id))
    expect(left).toEqual(leaving.map(({ id }) => members.get(id)))
    for (const stay of leaving) stay.place = 'draining'
    expect(left.map(({ state }) => state)).toEqual(
      leaving.map(({ live }) => (live > 0 ? 'draining' : 'gone')),
    )
    // At another address it is another backend; what is on the old one stays there.
    for (const stay of this.#stays) {
      const { host, port } = next.get(stay.id) ?? stay.backend
      if (host !== stay.backend.host || port !== stay.backend.port) stay.place = 'forgotten'
    }
    this.#stays = this.#stays.filter(({ place, live }) => place === 'serving' || live > 0)
    const serving = [...next.values()].map((each): Stay => {
      const known = this.#stays.find(({ id, place }) => id === each.id && place !== 'forgotten')
      const { index } = this.group.find(each.id)!
      if (known !== undefined) expect(index).toBe(known.index)
      return { id: each.id, index, backend: each, place: 'serving', live: known?.live ?? 0 }
    })
    const others = this.#stays.filter(
      ({ id, place }) => place === 'forgotten' || (place === 'draining' && !next.has(id)),
    )
    this.#stays = [...serving, ...others]
  }

  #release(stay: Stay): void {
    const drained = this.group.release(this.group.at(stay.index))
    stay.live -= 1
    expect(drained).toBe(stay.place === 'draining' && stay.live === 0)
    this.#stays = this.#stays.filter(({ place, live }) => place === 'serving' || live > 0)
  }

  #compare(): void {
    const { group } = this
    checkInvariants(group)
    expect(group.version).toBe(this.#version)
    expect(group.servingCount).toBe(this.#serving().length)
    expect(group.drainingCount).toBe(this.#stays.filter((stay) => stay.place === 'draining').length)
    for (const id of IDS) {
      const known = this.#stays.find((stay) => stay.id === id && stay.place !== 'forgotten')
      expect(group.liveOn(id)).toBe(known?.live ?? 0)
    }
    for (const stay of this.#stays) {
      const { live, backend: what } = group.at(stay.index)
      expect({ live, what }).toEqual({ live: stay.live, what: stay.backend })
    }
    expect(new Set(this.#stays.map(({ index }) => index)).size).toBe(this.#stays.length)
    const candidates = this.#candidates().map(({ id }) => id)
    expect(group.state.candidates.map((member) => member.backend.id)).toEqual(candidates)
    expect(group.candidateCount).toBe(candidates.length)
    expect(group.openCount).toBe(this.#open().length)
    const isFailingOpen =
      candidates.length > 0 && this.#serving().every((stay) => stay.backend.down)
    expect(group.isFailingOpen).toBe(isFailingOpen)
  }

  /** The rule of the page, word for word. */
  #candidates(): Stay[] {
    const all = this.#serving()
    const main = all.filter((stay) => !stay.backend.down && !stay.backend.backup)
    if (main.length > 0) return main
    const backups = all.filter((stay) => !stay.backend.down)
    if (backups.length > 0) return backups
    return this.#failOpen ? all : []
  }

  /** Those of them that have room. */
  #open(): Stay[] {
    return this.#candidates().filter(({ live }) => this.#livesMax === 0 || live < this.#livesMax)
  }

  #serving(): Stay[] {
    return this.#stays.filter(({ place }) => place === 'serving')
  }

  #nth(place: Stay['place'], number: number): Stay | undefined {
    const all = this.#stays.filter((stay) => stay.place === place)
    return all[number % all.length]
  }

  #stayOf({ index }: Member, stays: readonly Stay[]): Stay {
    const stay = stays.find((each) => each.index === index)
    expect(stay, 'one that may be chosen').toBeDefined()
    return stay!
  }
}

test.each(['round_robin', 'hrw', 'maglev', 'least_connections', 'power_of_two'] as const)(
  'proxy W24: sets may change between any two choices and releases, with %s',
  (name) => {
    fc.assert(
      fc.property(fc.boolean(), fc.array(action, { maxLength: 60 }), (failOpen, actions) => {
        const model = new Model(name, failOpen)
        for (const step of actions) model.run(step)
      }),
      { numRuns: name === 'maglev' ? 20 : 150 },
    )
  },
)
