/**
 * A ledger, the shell that does what it says, a kernel that knows what really listens, programs
 * that take ports, and owners that come and go. After every step the ledger is compared with what
 * is true, and with a twin that was never restored.
 */
import { expect } from 'vitest'
import type { Claim, Owner, Wish } from '../../../../core/publish/claim.ts'
import type { LedgerCommand } from '../../../../core/publish/commands.ts'
import type { LedgerEvent, SocketId } from '../../../../core/publish/events.ts'
import { checkInvariants } from '../../../../core/publish/invariants.ts'
import { PublishLedger } from '../../../../core/publish/ledger.ts'
import { type Bound, Kernel, maskOf } from './kernel.ts'
import { type Holding, isWithin, maskOfClaim, Reference } from './reference.ts'

export type Action =
  | { readonly type: 'claim'; readonly wishes: readonly Wish[] }
  | { readonly type: 'publish'; readonly owner: Owner; readonly claim: string; readonly id: string }
  | {
      readonly type: 'withdraw'
      readonly owner: Owner
      readonly id: string
      readonly claim?: string
    }
  // the shell does what was asked of it first, for one of the sockets
  | { readonly type: 'work'; readonly pick: number; readonly skips: boolean }
  // one of the answers arrives; twice: it comes again some time
  | { readonly type: 'answer'; readonly pick: number; readonly twice: boolean }
  | { readonly type: 'stranger'; readonly host: string; readonly port: number }
  | { readonly type: 'stranger-leaves'; readonly pick: number }
  | { readonly type: 'ipv6'; readonly is: boolean }
  | { readonly type: 'pick-from'; readonly port: number }
  // also early and late
  | { readonly type: 'tick'; readonly lateMs: number }
  | { readonly type: 'restore'; readonly sockets: 'kept' | 'lost' }

type SocketOrder = Extract<LedgerCommand, { type: 'bind' | 'unbind' }>
type Bind = Extract<LedgerCommand, { type: 'bind' }>
type Answer = Extract<LedgerEvent, { type: 'bound' | 'bind-failed' | 'unbound' }>

/** What is known of a socket without asking the ledger more than whose claims it carries. */
interface Life {
  readonly bind: Bind
  owners: readonly Owner[]
  claim: string
  /** A bind was asked for and its failure was not reported. */
  isAsked: boolean
  isListening: boolean
  isReleasing: boolean
}

const OURS = 'socket '
const STRANGER = 'stranger '
const SETTLES_WITHIN = 3000

export class World {
  readonly kernel = new Kernel()
  readonly reference = new Reference()
  readonly marks = new Map<string, number>()
  readonly #orders = new Map<SocketId, SocketOrder[]>()
  readonly #answers: Answer[] = []
  readonly #again: Answer[] = []
  readonly #lives = new Map<SocketId, Life>()
  readonly #freed = new Set<SocketId>()
  #ledger = new PublishLedger(CONFIG)
  #twin = new PublishLedger(CONFIG)
  #now = 1000
  #strangers = 0

  get ledger(): PublishLedger {
    return this.#ledger
  }

  act(action: Action): void {
    switch (action.type) {
      case 'claim':
        return this.#claim(action.wishes)
      case 'publish': {
        const backend = { id: action.id, host: '127.0.0.1', port: 1 }
        const { owner, claim } = action
        this.reference.publish(owner, claim, backend)
        return void this.#feed({ type: 'publish', owner, claim, backend })
      }
      case 'withdraw': {
        const { owner, id, claim } = action
        this.reference.withdraw(owner, id, claim)
        const one = claim === undefined ? {} : { claim }
        return void this.#feed({ type: 'withdraw', owner, backend: id, ...one })
      }
      case 'work':
        return this.#work(action.pick, action.skips)
      case 'answer':
        return this.#answer(action.pick, action.twice)
      case 'stranger': {
        const { host, port } = action
        this.#strangers += 1
        const bound: Bound = { namespace: 'tcp', mask: maskOf(host), port }
        return void this.kernel.bind(`${STRANGER}${this.#strangers}`, bound)
      }
      case 'stranger-leaves': {
        const names = [...this.kernel.bound.keys()].filter((each) => each.startsWith(STRANGER))
        if (names.length > 0) this.kernel.close(names[action.pick % names.length]!)
        return
      }
      case 'ipv6':
        this.kernel.hasIpv6 = action.is
        return
      case 'pick-from':
        this.kernel.pickFrom = action.port
        return
      case 'tick':
        return this.#tick(action.lateMs)
      case 'restore':
        return this.#restore(action.sockets)
    }
  }

  /** Strangers leave, the shell works, answers come, time passes: then all that is wanted listens. */
  settle(): void {
    this.kernel.closeAll(STRANGER)
    this.kernel.hasIpv6 = true
    this.kernel.pickFrom = 100
    for (let left = SETTLES_WITHIN; ; left--) {
      expect(left, 'the ledger comes to rest').toBeGreaterThan(0)
      if (this.#orders.size > 0) this.#work(left, false)
      else if (this.#answers.length > 0) this.#answer(left, false)
      else if (this.#ledger.deadline() !== undefined) this.#tick(0)
      else break
    }
    const listening = [...this.kernel.bound].map(([name, { namespace, mask, port }]) => {
      const life = this.#lives.get(Number(name.slice(OURS.length)))!
      if (life.bind.port !== 0) return `${namespace} ${port} ${mask}`
      return `${namespace} any ${mask} ${life.owners[0]} ${life.claim}`
    })
    expect(listening.sort()).toEqual(this.reference.sockets())
    const states = new Set(this.#ledger.sockets().map(({ state }) => state))
    expect([...states].filter((state) => state !== 'listening')).toEqual([])
  }

  /** Everybody goes: nothing may be left, in the ledger or in the kernel. */
  end(): void {
    this.settle()
    const owners = new Set(this.reference.standing.map(({ owner }) => owner))
    this.#claim([...owners].map((owner) => ({ owner, claims: [] })))
    this.settle()
    const { owners: left, ports, sockets, timers } = this.#ledger.state
    expect([left.size, ports.size, sockets.size, timers.size]).toEqual([0, 0, 0, 0])
    expect(this.kernel.bound.size).toBe(0)
    const { counters } = this.#ledger
    expect(counters.published).toBe(counters.withdrawn)
    expect(counters.freed).toBe(this.#ledger.state.socketLast)
  }

  // Owners

  #claim(wishes: readonly Wish[]): void {
    const conflicts = this.reference.conflicts(wishes, this.#holdings())
    const [first] = this.#feed({ type: 'claim', wishes }, (answer) => {
      const isRefused = conflicts.length > 0
      expect(answer?.type).toBe(isRefused ? 'refused' : 'claimed')
      if (answer?.type === 'refused') {
        const said = answer.conflicts.map(({ requester, host, port, owner, isLeaving }) =>
          [requester, `${host}:${port}`, owner, ...(isLeaving ? ['leaving'] : [])].join(' '),
        )
        expect(said).toEqual(conflicts)
        if (answer.conflicts.some(({ isLeaving }) => isLeaving)) this.#mark('refused: leaving')
        if (answer.conflicts.some(({ route }) => route)) this.#mark('refused: route')
      } else this.reference.grant(wishes)
    })
    this.#mark(first!.type)
    if (first?.type !== 'claimed') return
    const copy = restored(this.#ledger, this.#now, 'kept')
    const out: LedgerCommand[] = []
    copy.step({ type: 'claim', wishes }, this.#now, out)
    expect(out, 'a wish granted again touches nothing').toEqual([first])
  }

  #holdings(): Holding[] {
    const picked = (id: SocketId): number => this.kernel.bound.get(OURS + id)?.port ?? -1
    return [...this.#lives]
      .sort(([a], [b]) => a - b)
      .flatMap(([id, { bind, owners, claim, ...life }]) => {
        const { namespace, host, isV6Only, port: asked } = bind
        // A port the kernel picked is known when it was reported, or was given up for that.
        const isKnown = asked !== 0 || life.isListening || this.#ledger.socket(id)?.port !== 0
        if (!isKnown || !(life.isReleasing || life.isListening)) return []
        const port = asked === 0 ? picked(id) : asked
        const mask = maskOf(host, isV6Only)
        const port1 = port === -1 ? (this.#ledger.socket(id)?.port ?? -1) : port
        const { isReleasing } = life
        return [{ namespace, mask, asked, port: port1, owners, claim, isReleasing }]
      })
  }

  // The shell

  #work(pick: number, skips: boolean): void {
    const ids = [...this.#orders.keys()]
    if (ids.length === 0) return
    const id = ids[pick % ids.length]!
    const orders = this.#orders.get(id)!
    const order = orders.shift()!
    if (orders.length === 0) this.#orders.delete(id)
    const { socket, attempt } = order
    if (order.type === 'unbind') {
      this.kernel.close(OURS + socket)
      this.#answers.push({ type: 'unbound', socket, attempt })
      return
    }
    // A bind that is to be closed anyway may not even be tried.
    if (skips && orders.length > 0) return
    const { namespace, host, isV6Only, port } = order
    const outcome = this.kernel.bind(OURS + socket, {
      namespace,
      mask: maskOf(host, isV6Only),
      port,
    })
    if (typeof outcome === 'object') {
      this.#answers.push({ type: 'bound', socket, attempt, port: outcome.port })
    } else {
      const missing = outcome === 'missing' ? { isMissing: true } : { holder: 'somebody' }
      this.#answers.push({ type: 'bind-failed', socket, attempt, reason: outcome, ...missing })
    }
  }

  #answer(pick: number, twice: boolean): void {
    const isOld = this.#answers.length === 0 || (twice && this.#again.length > 0)
    const answers = isOld ? this.#again : this.#answers
    if (answers.length === 0) return
    const [answer] = answers.splice(pick % answers.length, 1)
    if (twice && !isOld) this.#again.push(answer!)
    const life = this.#lives.get(answer!.socket)
    const isCurrent = this.#ledger.socket(answer!.socket)?.attempt === answer!.attempt
    const wasAsked = life?.isAsked
    if (answer!.type === 'bind-failed' && isCurrent && life !== undefined) life.isAsked = false
    const before = this.#ledger.counters.staleAnswers
    this.#feed(answer!)
    const isStale = this.#ledger.counters.staleAnswers > before
    if (isStale) this.#mark(`stale ${answer!.type}`)
    // What was answered before says nothing about the bind that is under way.
    if (isStale && life !== undefined) life.isAsked = wasAsked!
  }

  #tick(lateMs: number): void {
    const due = this.#ledger.deadline()
    this.#now = Math.max(this.#now, (due ?? this.#now) + lateMs)
    this.#feed({ type: 'tick' })
    const next = this.#ledger.deadline()
    if (next !== undefined) expect(next).toBeGreaterThan(this.#now)
  }

  #restore(sockets: 'kept' | 'lost'): void {
    this.#mark(`restore ${sockets}`)
    this.#ledger = restored(this.#ledger, this.#now, sockets)
    if (sockets === 'kept') return
    this.#twin = restored(this.#twin, this.#now, sockets)
    this.kernel.closeAll(OURS)
    this.#orders.clear()
    this.#answers.length = 0
    for (const [id, life] of this.#lives) {
      if (life.isReleasing) {
        this.#lives.delete(id)
        this.#freed.add(id)
      } else {
        life.isAsked = false
        life.isListening = false
      }
    }
    this.#compare()
  }

  // The ledger

  #feed(event: LedgerEvent, on?: (answer: LedgerCommand | undefined) => void): LedgerCommand[] {
    const out: LedgerCommand[] = []
    const same: LedgerCommand[] = []
    this.#ledger.step(event, this.#now, out)
    this.#twin.step(event, this.#now, same)
    mustEqual(out, same, 'as if it had never been restored')
    on?.(out[0])
    for (const command of out) this.#apply(command)
    this.#compare()
    return out
  }

  #apply(command: LedgerCommand): void {
    switch (command.type) {
      case 'bind':
        return this.#onBind(command)
      case 'unbind': {
        const life = this.#lives.get(command.socket)!
        expect([life.isAsked, life.isReleasing], 'closed once').toEqual([true, false])
        life.isReleasing = true
        life.isListening = false
        return this.#order(command)
      }
      case 'listening': {
        expect(this.kernel.bound.has(OURS + command.socket), 'it listens').toBe(true)
        this.#lives.get(command.socket)!.isListening = true
        return
      }
      case 'listen-failed':
        expect(this.kernel.bound.has(OURS + command.socket), 'it does not listen').toBe(false)
        return this.#mark(this.#ledger.socket(command.socket)?.state ?? 'gone')
      case 'carries':
        expect(this.#lives.get(command.socket)?.isAsked, 'bound or binding').toBe(true)
        expect(this.#ledger.socket(command.socket)?.carries, 'and not given up').not.toEqual([])
        return this.#mark('carries')
      case 'freed': {
        const { socket } = command
        const isThere = this.kernel.bound.has(OURS + socket) || this.#orders.has(socket)
        expect([isThere, this.#freed.has(socket)], 'gone for sure, once').toEqual([false, false])
        this.#freed.add(socket)
        this.#lives.delete(socket)
        return
      }
    }
  }

  #onBind(command: Bind): void {
    const { socket, port, namespace } = command
    const mask = maskOf(command.host, command.isV6Only)
    for (const [id, { bind, isAsked }] of this.#lives) {
      const isAt = bind.namespace === namespace && bind.port === port && port !== 0
      const isNear = (maskOf(bind.host, bind.isV6Only) & mask) !== 0
      const isInTheWay = id !== socket && isAsked && isAt && isNear
      must(!isInTheWay, `socket ${socket} is bound beside socket ${id}`)
    }
    const owners = this.#lives.get(socket)?.owners ?? []
    const life = { bind: command, owners, claim: '', isAsked: true }
    this.#lives.set(socket, { ...life, isListening: false, isReleasing: false })
    this.#order(command)
  }

  #order(order: SocketOrder): void {
    const present = this.#orders.get(order.socket)
    if (present === undefined) this.#orders.set(order.socket, [order])
    else present.push(order)
  }

  // What must be true

  #compare(): void {
    checkInvariants(this.#ledger)
    const owners = new Set(['A', 'B', 'C', 'D'])
    const claims = [...owners].flatMap((owner) => this.#ledger.claimsOf(owner))
    const shown = claims.map(({ owner, claim, backends }) => [owner, spelledOut(claim), backends])
    const standing = this.reference.standing.toSorted((a, b) => (a.owner < b.owner ? -1 : 1))
    mustEqual(
      shown,
      [...owners].flatMap((each) =>
        standing
          .filter(({ owner }) => owner === each)
          .map(({ owner, claim, backends }) => [owner, spelledOut(claim), [...backends.values()]]),
      ),
      'what is claimed and published',
    )
    for (const { id, host, state, carries, namespace, port } of this.#ledger.sockets()) {
      this.#mark(state)
      const life = this.#lives.get(id)
      if (carries.length === 0) continue
      const now = carries.map(({ owner }) => owner)
      if (life !== undefined && life.owners.length > 0) {
        const stays = life.owners.some((each) => now.includes(each))
        must(stays, `socket ${id} stays with an owner`)
      }
      if (life !== undefined) {
        life.owners = [...new Set(now)]
        life.claim = carries[0]!.claim.id
      }
      const mask = maskOf(host, host !== '::' || !carries.some(({ claim }) => isDual(claim)))
      for (const { claim } of carries) {
        must(isWithin(maskOfClaim(claim), mask), `socket ${id} is for its claims`)
        const isThere = claim.port === 0 || claim.port === port
        must(isThere && claim.namespace === namespace, `socket ${id} is where its claims are`)
      }
      if (new Set(now).size > 1) this.#mark('shared')
    }
  }

  #mark(name: string): void {
    this.marks.set(name, (this.marks.get(name) ?? 0) + 1)
  }
}

const CONFIG = { claimsMax: 1000 }

const spelledOut = ({ isV6Only = true, isOptional = false, ...claim }: Claim): Claim => ({
  ...claim,
  isV6Only,
  isOptional,
})

const isDual = ({ host, isV6Only }: Claim): boolean => host === '::' && isV6Only === false

function must(ok: boolean, what: string): void {
  if (!ok) expect.fail(what)
}

/** Of plain data; the slow comparison is made for the message alone. */
function mustEqual(seen: unknown, wanted: unknown, what: string): void {
  if (JSON.stringify(seen) !== JSON.stringify(wanted)) expect(seen, what).toEqual(wanted)
}

function restored(ledger: PublishLedger, now: number, sockets: 'kept' | 'lost'): PublishLedger {
  const text = JSON.stringify(ledger.snapshot(now))
  return PublishLedger.restore(JSON.parse(text) as never, now, { sockets })
}
