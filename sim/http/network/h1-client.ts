/** A client of HTTP/1.1: what it sends, when, and what it makes of the answers. */
import type { ClientId } from '../../../core/http/events.ts'
import { newRequest, type SimRequest } from '../truth.ts'
import { contentOf } from '../wire/content.ts'
import { PlainReader } from '../wire/plain-reader.ts'
import type { HttpWorld } from '../world.ts'
import { ClientPeer, type ClientPlan } from './client-peer.ts'
import type { Line } from './peer.ts'

export class H1Client extends ClientPeer {
  readonly #reader: PlainReader
  /** Bytes it has decided to send. */
  #planned = 0
  #next = 0
  /** Waits for `100 Continue`. */
  #waiting: { readonly request: SimRequest; readonly lines: readonly Line[] } | undefined
  /** The first of its requests that was not told wholly. */
  #telling = 0

  constructor(id: ClientId, plan: ClientPlan, world: HttpWorld) {
    super(id, plan, world, false)
    this.#reader = new PlainReader(() => {
      const request = this.current
      if (request?.begunAt === undefined) return undefined
      return { method: request.plan.method, minor: request.plan.minor }
    })
  }

  override get endsWithClose(): boolean {
    return this.#reader.endsWithClose && !this.becameTunnel
  }

  override begin(): void {
    const { plan, world } = this
    const { id: client } = this
    if (plan.leavesAfterMs !== undefined) world.at(plan.leavesAfterMs, () => this.leave())
    const tls = plan.isSecure ? { tls: {} } : {}
    world.tell({ type: 'accepted', client, port: plan.port, peers: plan.peers, ...tls })
    if (plan.withPreface) return this.#speakPreface()
    if (plan.isPipelined) for (const _ of plan.requests) this.#sendNext()
    else this.#sendNext()
  }

  /** What the process wrote. */
  receive(text: string): void {
    const { world } = this
    if (this.wasEnded) world.fail('http framing', `client ${this.id} is written to after its end`)
    this.#reader.read(text, (what) => {
      const { messages } = world
      if (what.type === 'content') return messages.answerContent(this, what.text)
      if (what.type === 'end') return this.#answered(what.trailers)
      const status = Number(what.head.start[1])
      messages.answerHead(this, status, what.head.fields, what.head.body)
      if (what.head.body === 'tunnel') {
        this.becameTunnel = true
        this.hear(() => this.#speakFreely())
      } else if (status === 100) this.hear(() => this.#goOnWithBody())
    })
    const { fault } = this.#reader
    if (fault !== undefined) world.fail('http framing', `client ${this.id} is sent ${fault}`)
    this.written(text.length)
  }

  override ended(): void {
    if (this.wasEnded) this.world.fail('http framing', `client ${this.id} is ended twice`)
    this.wasEnded = true
    if (this.endsWithClose) this.#answered([])
    if (!this.isBlocked) this.finish()
    this.hear(() => this.#heardEnd())
  }

  protected override closed(isReset: boolean): void {
    if (!this.wasEnded && !isReset && this.endsWithClose) this.#answered([])
  }

  protected override tellData(bytes: Uint8Array): void {
    const now = this.world.machineNow()
    for (; this.#telling < this.requests.length; this.#telling++) {
      const request = this.requests[this.#telling]!
      if (this.told <= request.startsAt) break
      request.begunAt ??= now
      request.movedAt = now
      if (this.told >= request.headEndsAt) request.headAt ??= now
      if (this.told < request.endsAt) break
      request.wholeAt ??= now
    }
    this.world.tell({ type: 'client-data', client: this.id, bytes })
  }

  /** Until it is whole it is a request like others, which nobody can answer. */
  #speakPreface(): void {
    const [any] = this.plan.requests
    const flaw = { name: 'a preface', in: 'head' } as const
    const asked = { ...any!, method: 'PRI', head: PREFACE, body: '', content: '', flaw }
    this.requests.push(newRequest({ ...asked, upgrade: '', framing: 'none' }, this, 0))
    this.#speak(PREFACE)
  }

  #sendNext(): void {
    const plan = this.plan.requests[this.#next]
    if (plan === undefined) return
    this.#next += 1
    const request = newRequest(plan, this, this.#planned)
    this.requests.push(request)
    this.world.requests.set(plan.number, request)
    this.#speak(plan.head)
    const body: Line[] = []
    const isLast = this.#next === this.plan.requests.length
    const end: Line[] =
      isLast && this.plan.ends === 'at once' && plan.upgrade === ''
        ? [{ type: 'do', run: () => this.tellEnded() }]
        : []
    if (!plan.expects || this.plan.isPipelined) {
      this.#speak(plan.body)
      this.say(...end)
      return
    }
    body.push({ type: 'say', text: plan.body }, ...end)
    this.#planned += plan.body.length
    this.#waiting = { request, lines: body }
    // RFC 9110, 10.1.1: it need not wait for ever.
    this.say(
      { type: 'wait', ms: CONTINUES_AFTER_MS },
      { type: 'do', run: () => this.#goOnWithBody() },
    )
  }

  #goOnWithBody(): void {
    const waiting = this.#waiting
    if (waiting?.request.headAt === undefined) return
    this.#waiting = undefined
    this.hush()
    this.say(...waiting.lines)
  }

  #speak(text: string): void {
    const { leavesAtByte } = this.plan
    const from = this.#planned
    this.#planned += text.length
    if (leavesAtByte === undefined || leavesAtByte >= this.#planned) {
      this.say({ type: 'say', text })
    } else if (leavesAtByte >= from) {
      this.say({ type: 'say', text: text.slice(0, leavesAtByte - from) })
      this.say({ type: 'do', run: () => this.leave() })
    }
  }

  #answered(trailers: readonly (readonly [string, string])[]): void {
    const request = this.current
    if (request === undefined) return
    this.world.messages.answerEnd(this, trailers)
    this.answered += 1
    this.hear(() => {
      const { plan, world } = this
      if (this.#waiting?.request === request) this.#goOnWithBody()
      if (plan.isPipelined || this.answered < this.#next) return this.#endWhenDone()
      const think = plan.thinkMs > 0 ? world.draws.clients.below(plan.thinkMs + 1) : 0
      world.at(think, () => {
        this.#sendNext()
        this.#endWhenDone()
      })
    })
  }

  #endWhenDone(): void {
    const isDone = this.answered === this.plan.requests.length && this.plan.ends === 'answered'
    if (isDone) this.say({ type: 'do', run: () => this.tellEnded() })
  }

  /** A tunnel: it says what it has to say, and its end. */
  #speakFreely(): void {
    const request = this.current
    if (request === undefined || this.isSilent) return
    this.say({ type: 'say', text: tunnelText(request.plan.number) })
    const ends = this.plan.ends !== 'never' || this.world.healed
    if (ends) this.say({ type: 'do', run: () => this.tellEnded() })
  }

  /** Whoever is told that no more comes says no more in turn, sooner or later. */
  #heardEnd(): void {
    this.hush()
    if (this.plan.ends === 'never' && !this.world.healed) return
    this.say({ type: 'do', run: () => this.tellEnded() })
  }
}

/** What a client says in its tunnel. */
export const tunnelText = (number: number): string => contentOf(number * 16 + 9, number % 40)

export const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'

const CONTINUES_AFTER_MS = 1_000
