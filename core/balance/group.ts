/**
 * The backends of one listener: a versioned set, who is next, what lives on each, and which of
 * those that left the set still carry something.
 *
 * Not a machine of its own: listeners, flow tables and exchanges ask it within their own step.
 */
import { assert, type Instant } from '../machine.ts'
import { RoundRobin } from './round-robin.ts'
import type { Strategy } from './strategy.ts'

/** Chosen by whoever sends the sets; unique in a set. */
export type BackendId = string

export interface Backend {
  readonly id: BackendId
  /** An IP address, or a name the shell resolves. */
  readonly host: string
  readonly port: number
}

/** `serving` takes new lives; `draining` left the set and waits for its last life to end. */
export interface Member<Life> {
  backend: Backend
  state: 'serving' | 'draining' | 'gone'
  /** The connections or flows that were given this backend and did not end yet. */
  readonly lives: Set<Life>
  /** When a failure was last worth reporting. */
  failureReportedAt: Instant | undefined
}

interface GroupState<Life> {
  version: number
  serving: Map<BackendId, Member<Life>>
  readonly draining: Map<BackendId, Member<Life>>
}

export class BackendGroup<Life> {
  /** For {@link checkInvariants}; nobody else reads it. */
  readonly state: GroupState<Life> = { version: 0, serving: new Map(), draining: new Map() }
  readonly #strategy: Strategy<Member<Life>>

  constructor(strategy: Strategy<Member<Life>> = new RoundRobin()) {
    this.#strategy = strategy
  }

  /** The version applied last; 0 before the first. */
  get version(): number {
    return this.state.version
  }

  /** Backends that take new lives. */
  get servingCount(): number {
    return this.state.serving.size
  }

  /** Backends that left the set and still carry lives. */
  get drainingCount(): number {
    return this.state.draining.size
  }

  /** A serving or draining member. */
  find(id: BackendId): Member<Life> | undefined {
    return this.state.serving.get(id) ?? this.state.draining.get(id)
  }

  /** Lives on a backend; 0 when it is unknown. */
  liveOn(id: BackendId): number {
    return this.find(id)?.lives.size ?? 0
  }

  /**
   * Makes `backends` the whole set. Returns the ids that left with nothing on them: those are
   * gone already. A version not above the current one changes nothing. Of two backends with one
   * id the first counts.
   */
  apply(version: number, backends: readonly Backend[]): BackendId[] {
    const { state } = this
    if (version <= state.version) return []
    state.version = version
    const before = state.serving
    state.serving = new Map()
    for (const backend of backends) {
      if (state.serving.has(backend.id)) continue
      const member = before.get(backend.id) ?? state.draining.get(backend.id) ?? fresh(backend)
      member.backend = backend
      member.state = 'serving'
      state.draining.delete(backend.id)
      state.serving.set(backend.id, member)
    }
    const gone: BackendId[] = []
    for (const [id, member] of before) {
      if (state.serving.has(id)) continue
      member.state = member.lives.size > 0 ? 'draining' : 'gone'
      if (member.state === 'draining') state.draining.set(id, member)
      else gone.push(id)
    }
    this.#strategy.replace([...state.serving.values()])
    return gone
  }

  /** Gives `life` to the next backend outside `exclude`; undefined when there is none. */
  choose(life: Life, exclude: readonly BackendId[] = NOBODY): Member<Life> | undefined {
    const member = this.#strategy.choose(exclude.length === 0 ? NOBODY : this.#serving(exclude))
    member?.lives.add(life)
    return member
  }

  /** By id: a backend that drained and came back since is the same backend to who excludes it. */
  #serving(ids: readonly BackendId[]): Member<Life>[] {
    const { serving } = this.state
    return ids.map((id) => serving.get(id)).filter((member) => member !== undefined)
  }

  /** Ends a life. True when it was the last one of a draining backend, which is then gone. */
  release(member: Member<Life>, life: Life): boolean {
    assert(member.lives.delete(life), 'a life is released once, by the member it was given to')
    if (member.state !== 'draining' || member.lives.size > 0) return false
    member.state = 'gone'
    this.state.draining.delete(member.backend.id)
    return true
  }

  /** Whether a failure of this backend should be reported: at most one a second. */
  shouldReportFailure(member: Member<Life>, now: Instant): boolean {
    const last = member.failureReportedAt
    if (last !== undefined && now - last < FAILURE_REPORT_INTERVAL_MS) return false
    member.failureReportedAt = now
    return true
  }
}

/** Throws {@link InvariantError} when the group contradicts itself. */
export function checkInvariants<Life>(group: BackendGroup<Life>): void {
  const { serving, draining } = group.state
  for (const [id, member] of serving) {
    assert(member.state === 'serving', `${id} is in the set but ${member.state}`)
    assert(member.backend.id === id, `${id} is filed under its id`)
    assert(!draining.has(id), `${id} serves and drains`)
  }
  for (const [id, member] of draining) {
    assert(member.state === 'draining', `${id} drains but is ${member.state}`)
    assert(member.backend.id === id, `${id} is filed under its id`)
    assert(member.lives.size > 0, `${id} drains with nothing on it`)
  }
}

const fresh = <Life>(backend: Backend): Member<Life> => ({
  backend,
  state: 'serving',
  lives: new Set(),
  failureReportedAt: undefined,
})

const NOBODY: readonly never[] = []

/** Failures go to the journal one by one: a dead backend under load must not fill it. */
const FAILURE_REPORT_INTERVAL_MS = 1000
