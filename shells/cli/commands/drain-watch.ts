/** What `weir up` says while its node stops: a countdown, and what a second request has done. */
import type { NodeView } from '../../../core/node/view.ts'
import type { DrainWork } from '../../node/operator/api.ts'
import type { NodeHandle } from '../../node/run.ts'
import { abortText, drainGist, drainText, NO_WORK, workText } from '../screen/drain.ts'
import type { Presenter } from './presenter.ts'

export interface DrainWatch {
  /** The status counts down from now on, whoever asked for the stop; later calls do nothing. */
  begin(): void
  /** Likewise, and says once what is left. */
  sayBegun(): void
  sayAborted(): void
  end(): void
}

export function drainWatch(
  node: Pick<NodeHandle, 'view' | 'load'>,
  presenter: Presenter,
): DrainWatch {
  // taken together: what was cut meanwhile is not counted beside replicas that are gone
  let seen: { readonly view: NodeView; readonly work: DrainWork } | undefined
  let startedAt: number | undefined
  let ended = false
  let timer: NodeJS.Timeout | undefined
  let asking: Promise<void> | undefined
  const now = () => seen ?? { view: node.view(), work: NO_WORK }
  const ask = (): Promise<void> => {
    const view = node.view()
    const answered = (work: DrainWork) => {
      seen = { view, work }
    }
    // without an answer the last one stands
    asking ??= node
      .load()
      .then(answered, () => answered(now().work))
      .finally(() => {
        asking = undefined
      })
    return asking
  }
  const text = () => drainText(now().view, now().work, performance.now() - (startedAt ?? 0))
  const begin = () => {
    if (startedAt !== undefined || ended) return
    startedAt = performance.now()
    timer = setInterval(() => void ask(), ASK_MS)
    presenter.status(text, () => drainGist(now().view, now().work))
  }
  const sayLeft = () => {
    const isIdle = now().view.replicas.length === 0 && workText(now().work) === ''
    if (!ended && !isIdle) presenter.say(`${text()}; once more stops at once`)
  }
  return {
    begin,
    sayBegun: () => {
      begin()
      void withinPatience(ask()).then(sayLeft)
    },
    sayAborted: () => presenter.say(abortText(now().view, now().work), 'red'),
    end: () => {
      ended = true
      clearInterval(timer)
    },
  }
}

async function withinPatience(answered: Promise<void>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, PATIENCE_MS)
  await Promise.race([answered, promise])
  clearTimeout(timer)
}

const ASK_MS = 500
/** Nobody who pressed Ctrl-C waits longer for the first word. */
const PATIENCE_MS = 250
