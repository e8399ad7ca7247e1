/** Deals the flows that this machine can have out to its UDP listeners, anew when they change. */
import {
  flowBudget,
  flowShares,
  flowStrain,
  type HostLimits,
} from '../../../../core/publish/host/flow-budget.ts'
import { type ListenerId, parseListenerId } from '../../../../core/services/identity.ts'

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
  /** The explicit numbers, in all, that were too many when that was said. */
  #saidExceeded: number | undefined
  #saidSqueezed: number | undefined

  constructor(options: FlowSharesOptions) {
    this.#options = options
    this.#budget = flowBudget(options.limits)
  }

  /** What a listener's file says: so many flows, or 0 for a share. */
  ask(listener: ListenerId, asked: number): void {
    const present = this.#shares.get(listener)
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
    this.#warn()
  }

  /** Each thing once, and again when the explicit numbers are others. */
  #warn(): void {
    const shares = [...this.#shares]
    const asked = shares.map(([, { asked }]) => asked)
    const { explicit, exceedsBudget, squeezedTo } = flowStrain(this.#options.limits, asked)
    const saidExceeded = this.#saidExceeded
    const saidSqueezed = this.#saidSqueezed
    this.#saidExceeded = exceedsBudget ? explicit : undefined
    this.#saidSqueezed = squeezedTo === undefined ? undefined : explicit
    if (exceedsBudget && saidExceeded !== explicit) {
      const [largest] = shares.toSorted(([, one], [, two]) => two.asked - one.asked)
      const most = `the most for ${nameOf(largest![0])}, ${largest![1].asked}`
      this.#options.notice(
        `max_flows of UDP endpoints is ${explicit} in all (${most}), and this process can have ${this.#budget} flows, by its limits on open files (ulimit -n) and local ports (net.ipv4.ip_local_port_range)`,
      )
    }
    if (squeezedTo !== undefined && saidSqueezed !== explicit) {
      this.#options.notice(
        `each UDP endpoint without max_flows has ${squeezedTo} flows, the least it is given: the others ask for ${explicit} of ${this.#budget}`,
      )
    }
  }
}

function nameOf(listener: ListenerId): string {
  const { deployment, service, endpoint } = parseListenerId(listener)
  return `${deployment}/${service}/${endpoint}`
}
