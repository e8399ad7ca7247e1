/** What `weir up` says while its node stops: a countdown, and what a second request has done. */
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
  let work = NO_WORK
  let startedAt: number | undefined
  let ended = false
  let timer: NodeJS.Timeout | undefined
  let asking: Promise<void> | undefined
  const ask = (): Promise<void> => {
    const answered = (answer: DrainWork) => {
      work = answer
    }
    // an answer that does not come changes nothing: the last one is shown on
    asking ??= node
      .load()
      .then(answered, () => undefined)
      .finally(() => {
        asking = undefined
      })
    return asking
  }
  const text = () => drainText(node.view(), work, performance.now() - (startedAt ?? 0))
  const begin = () => {
    if (startedAt !== undefined || ended) return
    startedAt = performance.now()
    timer = setInterval(() => void ask(), ASK_MS)
    presenter.status(text, () => drainGist(node.view(), work))
  }
  const sayLeft = () => {
    const isIdle = node.view().replicas.length === 0 && workText(work) === ''
    if (!ended && !isIdle) presenter.say(`${text()}; once more stops at once`)
  }
  return {
    begin,
    sayBegun: () => {
      begin()
      void withinPatience(ask()).then(sayLeft)
    },
    sayAborted: () => presenter.say(abortText(node.view(), work), 'red'),
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
