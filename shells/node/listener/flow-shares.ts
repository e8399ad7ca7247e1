/** Deals the flows that this machine can have out to its UDP listeners, anew when they change. */
import {
  exceedsBudget,
  flowBudget,
  flowShares,
  type HostLimits,
} from '../../../core/publish/flow-budget.ts'
import { type ListenerId, parseListenerId } from '../../../core/services/identity.ts'

export interface FlowSharesOptions {
  readonly limits: HostLimits
  /** Another share than before, also within {@link FlowShares.ask}. */
  readonly deal: (listener: ListenerId, flowsMax: number) => void
  readonly notice: (text: string) => void
}

interface Share {
  asked: number
  /** 0 before the first deal. */
  dealt: number
}

export class FlowShares {
  readonly #options: FlowSharesOptions
  readonly #budget: number
  readonly #shares = new Map<ListenerId, Share>()

  constructor(options: FlowSharesOptions) {
    this.#options = options
    this.#budget = flowBudget(options.limits)
  }

  /** What a listener's file says: so many flows, or 0 for a share. */
  ask(listener: ListenerId, asked: number): void {
    const present = this.#shares.get(listener)
    if (present?.asked !== asked && exceedsBudget(this.#options.limits, asked)) {
      const { deployment, service, endpoint } = parseListenerId(listener)
      const { descriptors } = this.#options.limits
      const have = `this process may have ${descriptors} files and sockets open in all`
      const text = `max_flows is ${asked}, and ${have}`
      this.#options.notice(`${deployment}/${service}/${endpoint}: ${text}`)
    }
    if (present === undefined) this.#shares.set(listener, { asked, dealt: 0 })
    else present.asked = asked
    this.#deal()
  }

  leave(listener: ListenerId): void {
    if (this.#shares.delete(listener)) this.#deal()
  }

  #deal(): void {
    const shares = [...this.#shares]
    const flows = flowShares(
      this.#budget,
      shares.map(([, { asked }]) => asked),
    )
    for (const [index, [listener, share]] of shares.entries()) {
      const flowsMax = flows[index]!
      if (share.dealt === flowsMax) continue
      share.dealt = flowsMax
      this.#options.deal(listener, flowsMax)
    }
  }
}
