/** A backend that speaks HTTP/2, at the other end of one stream. */
import type { Attempt } from '../truth.ts'
import type { AnswerPlan } from '../wire/answers.ts'
import { type Field, firstOf } from '../wire/plain-reader.ts'
import { ONLY_CONNECTIONS } from '../wire/requests.ts'
import type { HttpWorld } from '../world.ts'
import { serverTunnelText } from './h1-server.ts'
import type { Line } from './peer.ts'
import { fieldsOf } from './stream-client.ts'
import { UpstreamPeer } from './upstream-peer.ts'

export class StreamServer extends UpstreamPeer {
  #answersWhole = false

  request(flat: readonly string[], isLast: boolean): void {
    const { world } = this
    if (this.state !== 'open') world.fail('http framing', `upstream ${this.id} is not open`)
    if (this.attempts.length > 0) world.fail('http framing', `stream ${this.id} is asked twice`)
    const fields = fieldsOf(flat)
    this.#checkFields(fields)
    const path = firstOf(fields, ':path') ?? ''
    const attempt = world.messages.askedHead(this, firstOf(fields, ':method') ?? '', path, fields)
    this.attempts.push(attempt)
    attempt.request.attempts.push(attempt)
    if (isLast) world.messages.askedEnd(attempt, [])
    const upgrade = firstOf(fields, ':protocol') ?? ''
    this.hear(() => this.#consider(attempt, upgrade))
  }

  override receive(text: string): void {
    const world: HttpWorld = this.world
    const attempt = this.current
    if (attempt === undefined || attempt.isWhole) {
      world.fail('http framing', `stream ${this.id} is written to out of turn`)
    }
    world.messages.askedContent(attempt, text)
    this.written(text.length)
  }

  receiveTrailers(flat: readonly string[]): void {
    this.#over(fieldsOf(flat))
  }

  override ended(): void {
    this.wasEnded = true
    this.finish()
    this.#over([])
  }

  #over(trailers: readonly Field[]): void {
    const world: HttpWorld = this.world
    const attempt = this.current
    if (attempt === undefined || attempt.isWhole) {
      world.fail('http framing', `stream ${this.id} is ended out of turn`)
    }
    world.messages.askedEnd(attempt, trailers)
    this.hear(() => {
      if (this.#answersWhole) this.#answer(attempt)
      this.#answersWhole = false
      if (attempt.plan?.becomesTunnel === true) this.#end()
    })
  }

  #consider(attempt: Attempt, upgrade: string): void {
    const { draws } = this.world
    const options = this.world.backendOptions()
    if (this.isDead || draws.backends.below(100) < options.silentPercent) return
    if (this.world.happens(this.world.options.faults.streamRefused)) {
      attempt.isRefused = true
      this.world.inProcess(0, () => this.failed('backend', 'the stream was refused'))
      return
    }
    const plan = this.decide(attempt, upgrade, true)
    const isEarly = draws.backends.below(100) < options.earlyPercent || plan.interim.length > 0
    if (isEarly || attempt.isWhole || plan.becomesTunnel) this.#answer(attempt)
    else this.#answersWhole = true
  }

  #answer(attempt: Attempt): void {
    const { draws } = this.world
    const options = this.world.backendOptions()
    const plan = attempt.plan!
    if (this.isDead) return
    const think = options.thinkMsMax > 0 ? draws.backends.below(options.thinkMsMax + 1) : 0
    this.say({ type: 'wait', ms: think }, ...this.#linesOf(plan))
    if (draws.backends.below(100) < options.cutsPercent) {
      this.world.at(think + draws.backends.below(50), () => this.reset())
    }
  }

  #linesOf(plan: AnswerPlan): Line[] {
    const { id: upstream, world } = this
    const head = (status: number, flat: readonly string[], isLast: boolean): Line => ({
      type: 'do',
      run: () => {
        if (isLast) this.isSilent = true
        if (isLast) this.toldEnded = true
        world.tell({ type: 'upstream-head', upstream, status, fields: flat, isLast })
      },
    })
    const lines = plan.interim.map((status) => head(status, ['x-early', 'yes'], false))
    const { content, trailers, becomesTunnel } = plan
    const isLast =
      content === '' && trailers.length === 0 && !becomesTunnel && plan.number % 2 === 0
    lines.push(head(plan.status, plan.fields.flat(), isLast))
    if (isLast) return lines
    if (becomesTunnel) {
      lines.push({ type: 'say', text: serverTunnelText(plan.number) })
      if (plan.number % 3 === 0) lines.push({ type: 'do', run: () => this.tellEnded() })
      return lines
    }
    lines.push({ type: 'say', text: content })
    const flat = trailers.flatMap(([name, value]) => [name.toLowerCase(), value])
    const end = (): void => {
      if (flat.length === 0) return this.tellEnded()
      this.isSilent = true
      this.toldEnded = true
      world.tell({ type: 'upstream-trailers', upstream, fields: flat })
    }
    lines.push({ type: 'do', run: end })
    return lines
  }

  #end(): void {
    if (!this.isSilent && this.isHeld) this.say({ type: 'do', run: () => this.tellEnded() })
  }

  #checkFields(fields: readonly Field[]): void {
    let isPseudo = true
    for (const [name, value] of fields) {
      isPseudo &&= name.startsWith(':')
      const isLegal =
        (isPseudo ? PSEUDO.has(name) : NAME.test(name)) &&
        !ONLY_CONNECTIONS.has(name) &&
        VALUE.test(value) &&
        (name !== 'te' || value === 'trailers')
      if (!isLegal)
        this.world.fail('http framing', `upstream ${this.id} is sent "${name}: ${value}"`)
    }
  }
}

const PSEUDO: ReadonlySet<string> = new Set([
  ':method',
  ':scheme',
  ':path',
  ':authority',
  ':protocol',
])
const NAME = /^[!#$%&'*+.^_`|~0-9a-z-]+$/
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/
