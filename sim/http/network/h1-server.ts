/** A backend that speaks HTTP/1.1, at the other end of one connection. */
import type { Attempt } from '../truth.ts'
import type { AnswerPlan } from '../wire/answers.ts'
import { contentOf, toBytes } from '../wire/content.ts'
import { firstOf, type Heard, PlainReader } from '../wire/plain-reader.ts'
import type { Line } from './peer.ts'
import { UpstreamPeer } from './upstream-peer.ts'

export class H1Server extends UpstreamPeer {
  readonly #reader = new PlainReader()
  /** It waits for the end of the request before it answers. */
  #answersWhole: Attempt | undefined
  #idles = 0

  /** What the process wrote. */
  receive(text: string): void {
    const { world } = this
    if (this.state !== 'open') world.fail('http framing', `upstream ${this.id} is not open`)
    if (this.wasEnded) world.fail('http framing', `upstream ${this.id} is written to after its end`)
    this.#reader.read(text, (what) => this.#hear(what))
    const { fault } = this.#reader
    if (fault !== undefined) world.fail('http framing', `upstream ${this.id} is sent ${fault}`)
    this.written(text.length)
    // Whoever is gone answers what is sent with a reset.
    if (this.isDead && this.toldEnded) {
      world.inProcess(world.latency(), () => this.tellBroken())
    }
  }

  override ended(): void {
    const { world, current } = this
    if (this.wasEnded) world.fail('http framing', `upstream ${this.id} is ended twice`)
    this.wasEnded = true
    this.finish()
    if (current?.plan?.becomesTunnel !== true || this.isDead) return
    this.hear(() => this.#end())
  }

  protected override tellData(bytes: Uint8Array): void {
    const { current, told } = this
    const plan = current?.plan
    if (plan?.becomesTunnel === true && told >= current!.answerFrom + plan.headEndsAt) {
      this.#reader.becomeTunnel()
    }
    super.tellData(bytes)
  }

  #hear(what: Heard): void {
    const { world } = this
    if (what.type === 'head') {
      const { head } = what
      const attempt = world.messages.askedHead(this, head.start[0], head.start[1], head.fields)
      this.attempts.push(attempt)
      attempt.request.attempts.push(attempt)
      this.#idles += 1
      const upgrade = firstOf(head.fields, 'upgrade') ?? ''
      this.hear(() => this.#consider(attempt, upgrade))
      return
    }
    const attempt = this.current!
    if (what.type === 'content') return world.messages.askedContent(attempt, what.text)
    world.messages.askedEnd(attempt, what.trailers)
    this.idleSince = world.machineNow()
    this.hear(() => {
      if (this.#answersWhole !== attempt) return
      this.#answersWhole = undefined
      this.#answer(attempt)
    })
  }

  #consider(attempt: Attempt, upgrade: string): void {
    const { draws } = this.world
    const options = this.world.backendOptions()
    if (this.isDead || draws.backends.below(100) < options.silentPercent) return
    const plan = this.decide(attempt, upgrade, false)
    attempt.answerFrom = this.planned
    const isEarly = draws.backends.below(100) < options.earlyPercent || plan.interim.length > 0
    if (isEarly || attempt.isWhole) this.#answer(attempt)
    else this.#answersWhole = attempt
  }

  #answer(attempt: Attempt): void {
    const { draws } = this.world
    const options = this.world.backendOptions()
    const plan = attempt.plan!
    if (this.isDead) return
    const think = options.thinkMsMax > 0 ? draws.backends.below(options.thinkMsMax + 1) : 0
    const lines: Line[] = [{ type: 'wait', ms: think }]
    const isCut = draws.backends.below(100) < options.cutsPercent
    const text = isCut ? plan.text.slice(0, draws.backends.below(plan.text.length + 1)) : plan.text
    this.planned += text.length
    lines.push({ type: 'say', text })
    const resets = draws.backends.below(2) === 0
    if (isCut) lines.push({ type: 'do', run: () => (resets ? this.reset() : this.#end()) })
    else if (plan.becomesTunnel) lines.push(...this.#tunnel(plan))
    else if (plan.wrong !== undefined) lines.push({ type: 'wait', ms: 5_000 }, this.#endLine())
    else if (plan.closes) lines.push(this.#endLine())
    else {
      lines.push({ type: 'do', run: () => this.#chatter(attempt) })
      lines.push({ type: 'do', run: () => this.#idle() })
    }
    this.say(...lines)
  }

  #tunnel(plan: AnswerPlan): Line[] {
    const text = serverTunnelText(plan.number)
    this.planned += text.length
    const says: Line = { type: 'say', text }
    return plan.number % 3 === 0 ? [says, this.#endLine()] : [says]
  }

  #endLine(): Line {
    return { type: 'do', run: () => this.#end() }
  }

  /** Says something while nothing is asked of it: what came later would be a real answer. */
  #chatter(attempt: Attempt): void {
    const { chatter } = attempt.plan!
    if (chatter === '' || this.current !== attempt || this.isDead) return
    this.planned += chatter.length
    this.told += chatter.length
    this.tellData(toBytes(chatter))
  }

  /** It closes the connection when nothing more is asked of it for a while. */
  #idle(): void {
    const { idleMs } = this.world.options.backends
    const before = this.#idles
    this.world.at(idleMs, () => {
      if (this.#idles === before && !this.isDead) this.#end()
    })
  }

  /** Says its last; who writes to it after that is told off. */
  #end(): void {
    if (this.isSilent || !this.isHeld) return
    this.hush()
    this.say({
      type: 'do',
      run: () => {
        this.isDead = this.current?.plan?.becomesTunnel !== true
        this.tellEnded()
      },
    })
  }
}

/** What a backend says in its tunnel. */
export const serverTunnelText = (number: number): string => contentOf(number + 3, number % 50)
