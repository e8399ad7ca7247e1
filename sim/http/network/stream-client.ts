/** One stream of HTTP/2: one request, in messages instead of bytes. */
import type { ClientId } from '../../../core/http/events.ts'
import { newRequest, type SimRequest } from '../truth.ts'
import { type Field, firstOf } from '../wire/plain-reader.ts'
import { ONLY_CONNECTIONS } from '../wire/requests.ts'
import type { HttpWorld } from '../world.ts'
import { ClientPeer, type ClientPlan } from './client-peer.ts'
import { tunnelText } from './h1-client.ts'

export class StreamClient extends ClientPeer {
  /** What may be written next. */
  #stage: 'head' | 'body' | 'over' = 'head'

  constructor(id: ClientId, plan: ClientPlan, world: HttpWorld) {
    super(id, plan, world, true)
  }

  override begin(): void {
    const { plan, world, id: client } = this
    const asked = plan.requests[0]!
    const head = asked.streamHead!
    const isTunnel = asked.upgrade !== ''
    const isLast =
      asked.content === '' && asked.trailers.length === 0 && !isTunnel && client % 2 === 0
    const request = newRequest(asked, this, 0)
    this.requests.push(request)
    world.requests.set(asked.number, request)
    const now = world.machineNow()
    Object.assign(request, { begunAt: now, headAt: now, movedAt: now })
    if (isLast) request.wholeAt = now
    if (isLast) this.isSilent = true
    if (plan.leavesAfterMs !== undefined) world.at(plan.leavesAfterMs, () => this.#reset())
    const tls = plan.isSecure ? { tls: {} } : {}
    const { port, peers } = plan
    world.tell({ type: 'stream-opened', client, port, peers, ...tls, head, isLast })
    if (isLast || isTunnel) return
    this.say({ type: 'say', text: asked.content })
    this.say({ type: 'do', run: () => this.#endRequest(request) })
  }

  respond(status: number, fields: readonly string[], isLast: boolean): void {
    const { world } = this
    if (this.#stage !== 'head') world.fail('http framing', `stream ${this.id} is answered twice`)
    const pairs = fieldsOf(fields)
    for (const [name] of pairs) {
      const isLegal = TOKEN.test(name) && !ONLY_CONNECTIONS.has(name)
      if (!isLegal) world.fail('http framing', `stream ${this.id} is sent the field "${name}"`)
    }
    const request = this.current!
    const isTunnel = request.plan.upgrade !== '' && status === 200
    const length = firstOf(pairs, 'content-length')
    if (status < 200 && isLast) world.fail('http framing', 'an interim answer ends its stream')
    const body = isTunnel
      ? 'tunnel'
      : isLast
        ? 0
        : length === undefined
          ? 'chunked'
          : Number(length)
    world.messages.answerHead(this, status, pairs, body)
    if (status < 200) return
    this.#stage = 'body'
    if (isTunnel) {
      this.becameTunnel = true
      this.hear(() => {
        this.say({ type: 'say', text: tunnelText(request.plan.number) })
        if (this.plan.ends !== 'never' || world.healed)
          this.say({ type: 'do', run: () => this.tellEnded() })
      })
    }
    if (isLast) this.#over([])
  }

  receive(bytes: string): void {
    const { world } = this
    if (this.#stage !== 'body')
      world.fail('http framing', `stream ${this.id} is sent data out of turn`)
    world.messages.answerContent(this, bytes)
    this.written(bytes.length)
  }

  receiveTrailers(fields: readonly string[]): void {
    const { world } = this
    if (this.#stage !== 'body') world.fail('http framing', `stream ${this.id} has two ends`)
    this.#over(fieldsOf(fields))
  }

  override ended(): void {
    if (this.#stage !== 'body') this.world.fail('http framing', `stream ${this.id} has two ends`)
    this.#over([])
  }

  protected override closed(_isReset: boolean): void {}

  protected override tellData(bytes: Uint8Array): void {
    const request = this.requests[0]!
    request.movedAt = this.world.machineNow()
    this.world.tell({ type: 'client-data', client: this.id, bytes })
  }

  #over(trailers: readonly Field[]): void {
    this.#stage = 'over'
    this.wasEnded = true
    this.world.messages.answerEnd(this, trailers)
    if (!this.becameTunnel) this.answered += 1
    if (!this.isBlocked) this.finish()
  }

  #endRequest(request: SimRequest): void {
    request.wholeAt = this.world.machineNow()
    const { trailers } = request.plan
    if (trailers.length === 0) return this.tellEnded()
    this.isSilent = true
    this.toldEnded = true
    const fields = trailers.flatMap(([name, value]) => [name.toLowerCase(), value])
    this.world.tell({ type: 'client-trailers', client: this.id, fields })
  }

  /** Also after it said all it had to say. */
  #reset(): void {
    this.isSilent = false
    this.leave()
  }
}

export function fieldsOf(flat: readonly string[]): Field[] {
  const fields: Field[] = []
  for (let at = 0; at < flat.length; at += 2) fields.push([flat[at]!, flat[at + 1]!])
  return fields
}

const TOKEN = /^[!#$%&'*+.^_`|~0-9a-z-]+$/
