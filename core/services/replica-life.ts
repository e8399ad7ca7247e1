/**
 * The life of one replica as a statechart: the steps of services reference 3.1 and 3.2 with a
 * way out of each. The chart has no context and no guards, so that a step is a pure function of
 * (state, event); all data lives with the replica's record in `core/node`.
 *
 * ```
 * creating → starting → verifying → addressing → checking → ready ⇄ unhealthy
 *                │           └──────────┴──────────┤           └────┬────┘
 *            cancelling ───────────────────────────┤             draining
 *                │                                 ▼                │
 *                └──────────────────────────► stopping ◄────────────┘
 *                                                 │ grace over
 *                                              killing
 *   any exit, any failed step ───────────────► removing → removed
 * ```
 */
import { setup, transition } from 'xstate'

export type ReplicaState =
  | 'creating' // ports checked, log opened
  | 'starting' // the program is being spawned
  | 'cancelling' // not wanted any more, but the spawn has not been answered
  | 'verifying' // is it alive right after the spawn?
  | 'addressing'
  | 'checking' // waits for its first passing health check
  | 'ready' // may take traffic
  | 'unhealthy' // takes none until a check passes again
  | 'draining' // takes no new traffic, finishes what it has
  | 'stopping' // was asked to stop
  | 'killing' // did not stop in time
  | 'removing' // ended; what is left of it is cleared away
  | 'removed'

export type ReplicaStep =
  | 'created'
  | 'create-failed'
  | 'started'
  | 'start-failed'
  | 'alive'
  | 'addressed'
  | 'passed' // a health check made it healthy
  | 'failed' // health checks made it unhealthy
  | 'exited'
  | 'stop' // it is not wanted any more
  | 'abort' // end it at once
  | 'drained'
  | 'timeout' // the state's own time is over
  | 'removed'

/** What entering a state asks for. */
export type ReplicaAction =
  | 'create'
  | 'start'
  | 'verify'
  | 'resolve'
  | 'check'
  | 'drain'
  | 'cut' // drained for too long
  | 'stop'
  | 'kill'
  | 'remove'
  | 'forget'

/** Effects stay outside: the chart only names them. */
const nothing = (): void => {}

/** The chart itself; `docs/services.md` draws it, a test compares the two. */
export const replicaLife = setup({
  types: { events: {} as { type: ReplicaStep } },
  actions: {
    create: nothing,
    start: nothing,
    verify: nothing,
    resolve: nothing,
    check: nothing,
    drain: nothing,
    cut: nothing,
    stop: nothing,
    kill: nothing,
    remove: nothing,
    forget: nothing,
  } satisfies Record<ReplicaAction, () => void>,
}).createMachine({
  id: 'replica',
  initial: 'creating',
  states: {
    creating: {
      entry: 'create',
      on: {
        created: 'starting',
        'create-failed': 'removing',
        stop: 'removing',
        abort: 'removing',
        timeout: 'removing',
      },
    },
    starting: {
      entry: 'start',
      on: {
        started: 'verifying',
        'start-failed': 'removing',
        exited: 'removing',
        stop: 'cancelling',
        abort: 'removing',
        timeout: 'removing',
      },
    },
    cancelling: {
      on: {
        started: 'stopping',
        'start-failed': 'removing',
        exited: 'removing',
        abort: 'removing',
        timeout: 'removing',
      },
    },
    verifying: {
      entry: 'verify',
      on: {
        alive: 'addressing',
        exited: 'removing',
        stop: 'stopping',
        abort: 'killing',
        timeout: 'stopping',
      },
    },
    addressing: {
      entry: 'resolve',
      on: {
        addressed: 'checking',
        exited: 'removing',
        stop: 'stopping',
        abort: 'killing',
        timeout: 'stopping',
      },
    },
    checking: {
      entry: 'check',
      on: { passed: 'ready', exited: 'removing', stop: 'stopping', abort: 'killing' },
    },
    ready: {
      on: { failed: 'unhealthy', exited: 'removing', stop: 'draining', abort: 'killing' },
    },
    unhealthy: {
      on: { passed: 'ready', exited: 'removing', stop: 'draining', abort: 'killing' },
    },
    draining: {
      entry: 'drain',
      on: {
        drained: 'stopping',
        timeout: { target: 'stopping', actions: 'cut' },
        exited: 'removing',
        abort: 'killing',
      },
    },
    stopping: {
      entry: 'stop',
      on: { exited: 'removing', timeout: 'killing', abort: 'killing' },
    },
    killing: {
      entry: 'kill',
      on: { exited: 'removing', timeout: { target: 'killing', reenter: true } },
    },
    removing: {
      entry: 'remove',
      on: { removed: 'removed', timeout: { target: 'removing', reenter: true } },
    },
    removed: { entry: 'forget', type: 'final' },
  },
})

export interface ReplicaTransition {
  readonly state: ReplicaState
  /** In the order they must run. */
  readonly actions: readonly ReplicaAction[]
}

/** Where the chart goes from `state` on `step`; undefined when the step means nothing there. */
export function replicaTransition(
  state: ReplicaState,
  step: ReplicaStep,
): ReplicaTransition | undefined {
  const key = `${state} ${step}`
  if (KNOWN.has(key)) return KNOWN.get(key)
  const from = replicaLife.resolveState({ value: state, context: {} })
  const known = from.can({ type: step }) ? transitionFrom(from, step) : undefined
  KNOWN.set(key, known)
  return known
}

function transitionFrom(
  from: ReturnType<typeof replicaLife.resolveState>,
  step: ReplicaStep,
): ReplicaTransition {
  const [next, actions] = transition(replicaLife, from, { type: step })
  return {
    state: next.value as ReplicaState,
    actions: actions.map((each) => each.type as ReplicaAction),
  }
}

/** It was not asked to leave, or has not begun to. */
export const isComing = (state: ReplicaState): boolean =>
  state === 'creating' ||
  state === 'starting' ||
  state === 'verifying' ||
  state === 'addressing' ||
  state === 'checking'

/** A program of this replica was started and has not been seen to end. */
export const isRunning = (state: ReplicaState): boolean =>
  state !== 'creating' &&
  state !== 'starting' &&
  state !== 'cancelling' &&
  state !== 'removing' &&
  state !== 'removed'

/** Its health is being watched. */
export const isChecked = (state: ReplicaState): boolean =>
  state === 'checking' || state === 'ready' || state === 'unhealthy'

/** It has been ready and was not asked to leave: it is in the sets of its listeners, up or down. */
export const takesPart = (state: ReplicaState): boolean =>
  state === 'ready' || state === 'unhealthy'

export const isLeaving = (state: ReplicaState): boolean => !isComing(state) && !isChecked(state)

/**
 * How long a state may last before it gets a `timeout`; `drain` and `grace` come from the spec.
 * The questions a shell answers at once get seconds: an answer lost must not hold a slot forever.
 */
export const STATE_TIMEOUT_MS: Readonly<Record<ReplicaState, number | 'drain' | 'grace' | 'none'>> =
  {
    creating: 10_000,
    starting: 10_000,
    cancelling: 10_000,
    verifying: 5_000,
    addressing: 5_000,
    checking: 'none',
    ready: 'none',
    unhealthy: 'none',
    draining: 'drain',
    stopping: 'grace',
    killing: 5_000,
    removing: 10_000,
    removed: 'none',
  }

// xstate's transition costs about 12 microseconds; the chart is finite, so each edge is asked once.
const KNOWN = new Map<string, ReplicaTransition | undefined>()
