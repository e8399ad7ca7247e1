/** What `weir listeners` shows: the sockets of the view, with what goes through them. */
import type { NodeView } from '../../../core/node/view.ts'
import type { ListenerLoad, Listeners } from '../listener/listeners.ts'
import { within } from '../within.ts'
import type { DrainWork, ListenerRow } from './api.ts'

export function listenerRows(
  { listeners, node }: Pick<NodeView, 'listeners' | 'node'>,
  loads: readonly ListenerLoad[],
): readonly ListenerRow[] {
  const loadOf = new Map(loads.map((load) => [load.listener, load]))
  return [
    ...listeners.map((row) => {
      const { connections, requests, flows } = loadOf.get(row.listener) ?? NO_WORK
      return { ...row, connections, requests, flows }
    }),
    ...node.map(({ purpose, address, state, detail }) => ({
      deployment: '',
      service: '',
      endpoint: purpose,
      protocol: 'http',
      purpose,
      tls: false,
      address,
      state,
      backends: 0,
      members: [],
      detail,
      ...NO_WORK,
    })),
  ]
}

/** Of listeners that may be about to end: those that do not answer soon have nothing left. */
export async function loadsSoon(
  listeners: Pick<Listeners, 'load'>,
): Promise<readonly ListenerLoad[]> {
  let loads: readonly ListenerLoad[] = []
  const asked = listeners.load().then((answer) => {
    loads = answer
  })
  await within(asked, LOAD_MS_MAX).catch(() => {})
  return loads
}

export const workOf = (loads: readonly DrainWork[]): DrainWork =>
  loads.reduce(
    (sum, { connections, requests, flows }) => ({
      connections: sum.connections + connections,
      requests: sum.requests + requests,
      flows: sum.flows + flows,
    }),
    NO_WORK,
  )

const NO_WORK: DrainWork = { connections: 0, requests: 0, flows: 0 }
/** Shorter than the time between two steps of a shutdown. */
const LOAD_MS_MAX = 500
