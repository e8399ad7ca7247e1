/**
 * The backends of one listener: a versioned set, who may be chosen, how much lives on each, and
 * which of those that left the set still carry something.
 *
 * Not a machine of its own: listeners, flow tables and exchanges ask it within their own step.
 */
import { assert, type Instant } from '../machine.ts'
import { RoundRobin } from './round-robin.ts'
import type { AffinityKey, Strategy } from './strategy.ts'

/** Chosen by whoever sends the sets; unique in a set. */
export type BackendId = string

export interface Backend {
  readonly id: BackendId
  /** An IP address, or a name the shell resolves. */
  readonly host: string
  readonly port: number
  /** How much of the traffic, beside the others'; 1-65,535, 1 when not said. Round robin does not look at it. */
  readonly weight?: number
  /** Takes something only while no other backend is up. */
  readonly backup?: boolean
  /** Fails its checks: takes nothing new while another is up, or at all when failing closed. */
  readonly down?: boolean
}

export interface Member {
  /** Small, unused by any other member that is in the set or carries a life: for arrays. */
  readonly index: number
  backend: Backend
  /** `serving` is in the set; `draining` left it and waits for its last life to end. */
  state: 'serving' | 'draining' | 'gone'
  /** May be chosen now. */
  isCandidate: boolean
  /** It has as many lives as one may have: strategies pass it over. */
  isFull: boolean
  /** Lives that were given this backend and did not end yet. */
  live: number
  /** When a failure was last worth reporting. */
  failureReportedAt: Instant | undefined
}

export interface GroupOptions {
  readonly strategy?: Strategy
  /** Whether all are chosen from when every backend is down; otherwise none is. */
  readonly failOpen?: boolean
  /** See {@link BackendGroup.limit}. */
  readonly livesMax?: number
}

interface GroupState {
  version: number
  serving: Map<BackendId, Member>
  readonly draining: Map<BackendId, Member>
  /** By index; also those that are gone and carry something still. */
  readonly members: (Member | undefined)[]
  /** Indexes below `members.length` that are free, the one freed last at the end. */
  readonly freeIndexes: number[]
  candidates: readonly Member[]
  /** Candidates that are full. */
  fullCount: number
  /** 0 = no limit. */
  livesMax: number
  /** Every backend is down, and all are used all the same. */
  isFailingOpen: boolean
}

/** Plain JSON; {@link BackendGroup.restore} takes it back. */
export interface GroupSnapshot {
  readonly version: number
  /** In the order of the set. */
  readonly serving: readonly MemberSnapshot[]
  /** In the order they left. */
  readonly draining: readonly MemberSnapshot[]
  /** Forgotten, with something on them still. */
  readonly gone: readonly MemberSnapshot[]
  readonly freeIndexes: readonly number[]
  readonly strategy: readonly number[]
}

interface MemberSnapshot {
  readonly index: number
  readonly backend: Backend
  readonly live: number
  /** Since a failure was last reported. */
  readonly failureReportedMs?: number
}

export class BackendGroup {
  /** For `checkInvariants`; nobody else reads it. */
  readonly state: GroupState = {
    version: 0,
    serving: new Map(),
    draining: new Map(),
    members: [],
    freeIndexes: [],
    candidates: [],
    fullCount: 0,
    livesMax: 0,
    isFailingOpen: false,
  }
  #strategy: Strategy
  #failOpen: boolean

  constructor(options: GroupOptions = {}) {
    const { strategy = new RoundRobin(), failOpen = true, livesMax = 0 } = options
    this.#strategy = strategy
    this.#failOpen = failOpen
    this.state.livesMax = livesMax
  }

  /** The version applied last; 0 before the first. */
  get version(): number {
    return this.state.version
  }

  /** Backends in the set. */
  get servingCount(): number {
    return this.state.serving.size
  }

  /** Backends that may be chosen now. */
  get candidateCount(): number {
    return this.state.candidates.length
  }

  /** Those of them that have room. */
  get openCount(): number {
    return this.state.candidates.length - this.state.fullCount
  }

  /** Backends that left the set and still carry lives. */
  get drainingCount(): number {
    return this.state.draining.size
  }

  /** Every backend is down, and all are used all the same. */
  get isFailingOpen(): boolean {
    return this.state.isFailingOpen
  }

  /** A serving or draining member. */
  find(id: BackendId): Member | undefined {
    return this.state.serving.get(id) ?? this.state.draining.get(id)
  }

  /** The member a life was given, by the index it was told. */
  at(index: number): Member {
    const member = this.state.members[index]
    assert(member !== undefined, 'a life remembers the index of its own member')
    return member
  }

  /** Lives on a backend; 0 when it is unknown. */
  liveOn(id: BackendId): number {
    return this.find(id)?.live ?? 0
  }

  /**
   * Makes `backends` the whole set. Returns the members that left it: `gone` at once with nothing
   * on them, else `draining`. A version not above the current one changes nothing. Of two
   * backends with one id the first counts. A backend that is at another address than before is
   * another member: lives on the old one stay there, and nobody is told when they end.
   */
  apply(version: number, backends: readonly Backend[]): readonly Member[] {
    const { state } = this
    if (version <= state.version) return []
    state.version = version
    const before = state.serving
    state.serving = new Map()
    for (const backend of backends) {
      if (state.serving.has(backend.id)) continue
      const member = this.#known(backend, before) ?? this.#add(backend)
      member.backend = backend
      member.state = 'serving'
      state.draining.delete(backend.id)
      state.serving.set(backend.id, member)
    }
    const left = [...before.values()].filter((member) => !state.serving.has(member.backend.id))
    for (const member of left) this.#leave(member)
    this.#selectCandidates()
    return left
  }

  /** Another way to choose from now on, with a fresh strategy. Lives stay where they are. */
  rebalance({ strategy = new RoundRobin(), failOpen = true }: GroupOptions): void {
    this.#strategy = strategy
    this.#failOpen = failOpen
    this.#selectCandidates()
  }

  /**
   * How many lives a member may have, 0 for any number: `choose` passes over those that have as many.
   * No backup stands in for one that is full. Lowering it ends nothing.
   */
  limit(livesMax: number): void {
    const { state } = this
    if (livesMax === state.livesMax) return
    state.livesMax = livesMax
    for (const member of state.members) if (member !== undefined) this.#weigh(member)
  }

  /**
   * Gives one more life to the next backend outside `exclude` that has room; undefined when there
   * is none.
   */
  choose(exclude: readonly BackendId[] = NOBODY, key?: AffinityKey): Member | undefined {
    if (this.openCount === 0) return undefined // with all of them full, nobody looks at each
    const member = this.#strategy.choose(this.#serving(exclude), key)
    if (member !== undefined) this.#give(member)
    return member
  }

  /**
   * Gives one more life to this member, chosen by who asks: it keeps what belongs together so.
   * It does not ask for room.
   */
  take(member: Member): void {
    assert(member.state !== 'gone', 'a backend that is gone takes nothing')
    this.#give(member)
  }

  /** Ends a life. True when it was the last one of a draining backend, which is then gone. */
  release(member: Member): boolean {
    assert(member.live > 0, 'a life is released once, by the member it was given to')
    member.live -= 1
    this.#weigh(member)
    if (member.live > 0 || member.state === 'serving') return false
    const wasDraining = member.state === 'draining'
    this.forget(member)
    this.#free(member)
    return wasDraining
  }

  /** A draining backend is gone, whatever is still on it. */
  forget(member: Member): void {
    if (member.state !== 'draining') return
    member.state = 'gone'
    this.state.draining.delete(member.backend.id)
  }

  /** Whether a failure of this backend should be reported: at most one a second. */
  shouldReportFailure(member: Member, now: Instant): boolean {
    const last = member.failureReportedAt
    if (last !== undefined && now - last < FAILURE_REPORT_INTERVAL_MS) return false
    member.failureReportedAt = now
    return true
  }

  snapshot(now: Instant): GroupSnapshot {
    const { version, serving, draining, members, freeIndexes } = this.state
    const gone = members.filter((member) => member?.state === 'gone') as Member[]
    return {
      version,
      serving: [...serving.values()].map((member) => memberSnapshot(member, now)),
      draining: [...draining.values()].map((member) => memberSnapshot(member, now)),
      gone: gone.map((member) => memberSnapshot(member, now)),
      freeIndexes: [...freeIndexes],
      strategy: this.#strategy.memory?.() ?? [],
    }
  }

  /** With a fresh strategy of the same kind, which goes on where the other one was. */
  static restore(snapshot: GroupSnapshot, now: Instant, options?: GroupOptions): BackendGroup {
    const group = new BackendGroup(options)
    const { state } = group
    state.version = snapshot.version
    for (const place of ['serving', 'draining', 'gone'] as const) {
      for (const { failureReportedMs: ms, ...saved } of snapshot[place]) {
        const failureReportedAt = ms === undefined ? undefined : now - ms
        const restored = { state: place, isCandidate: false, isFull: false, failureReportedAt }
        const member: Member = { ...saved, ...restored }
        state.members[member.index] = member
        group.#weigh(member)
        if (place !== 'gone') state[place].set(member.backend.id, member)
      }
    }
    state.freeIndexes.push(...snapshot.freeIndexes)
    for (const index of state.freeIndexes) state.members[index] = undefined
    group.#selectCandidates()
    group.#strategy.recall?.(snapshot.strategy)
    return group
  }

  #give(member: Member): void {
    member.live += 1
    this.#weigh(member)
  }

  /** After its lives, or how many it may have, changed. */
  #weigh(member: Member): void {
    const { state } = this
    const isFull = state.livesMax > 0 && member.live >= state.livesMax
    if (isFull === member.isFull) return
    member.isFull = isFull
    if (member.isCandidate) state.fullCount += isFull ? 1 : -1
  }

  /** By id: a backend that drained and came back since is the same backend to who excludes it. */
  #serving(ids: readonly BackendId[]): readonly Member[] {
    if (ids.length === 0) return NOBODY
    const { serving } = this.state
    return ids.map((id) => serving.get(id)).filter((member) => member !== undefined)
  }

  /** The member of this id, unless it is at another address now: what is on it does not move. */
  #known(backend: Backend, before: Map<BackendId, Member>): Member | undefined {
    const known = before.get(backend.id) ?? this.state.draining.get(backend.id)
    if (known === undefined) return undefined
    const { host, port } = known.backend
    if (host === backend.host && port === backend.port) return known
    before.delete(backend.id)
    this.state.draining.delete(backend.id)
    known.state = 'gone'
    known.isCandidate = false
    if (known.live === 0) this.#free(known)
    return undefined
  }

  #add(backend: Backend): Member {
    const { members, freeIndexes } = this.state
    const index = freeIndexes.pop() ?? members.length
    const member: Member = {
      index,
      backend,
      state: 'serving',
      isCandidate: false,
      isFull: false,
      live: 0,
      failureReportedAt: undefined,
    }
    members[index] = member
    return member
  }

  #leave(member: Member): void {
    member.isCandidate = false
    if (member.live > 0) {
      member.state = 'draining'
      this.state.draining.set(member.backend.id, member)
      return
    }
    member.state = 'gone'
    this.#free(member)
  }

  #free(member: Member): void {
    this.state.members[member.index] = undefined
    this.state.freeIndexes.push(member.index)
  }

  /** Backends that are up; without any, backups that are up; without any, all or none. */
  #selectCandidates(): void {
    const { state } = this
    const registered = [...state.serving.values()]
    const up = registered.filter(({ backend }) => backend.down !== true)
    const main = up.filter(({ backend }) => backend.backup !== true)
    state.isFailingOpen = up.length === 0 && registered.length > 0 && this.#failOpen
    state.candidates = main.length > 0 ? main : state.isFailingOpen ? registered : up
    for (const member of registered) member.isCandidate = false
    for (const member of state.candidates) member.isCandidate = true
    state.fullCount = state.candidates.filter(({ isFull }) => isFull).length
    this.#strategy.replace(registered, state.candidates)
  }
}

function memberSnapshot(member: Member, now: Instant): MemberSnapshot {
  const { index, backend, live, failureReportedAt } = member
  if (failureReportedAt === undefined) return { index, backend, live }
  return { index, backend, live, failureReportedMs: now - failureReportedAt }
}

const NOBODY: readonly never[] = []

/** Failures go to the journal one by one: a dead backend under load must not fill it. */
const FAILURE_REPORT_INTERVAL_MS = 1000
