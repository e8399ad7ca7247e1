/** Runs a script: plain clients and backends around an ingress, everything checked as it happens. */
import { ok } from 'node:assert/strict'
import type { IngressCommand } from '../../../../../core/http/commands.ts'
import type { IngressEvent } from '../../../../../core/http/events.ts'
import { client, upstream, World } from '../world.ts'
import { Ear, type Heard, lengthOf, UNTIL_CLOSE } from './ear.ts'
import {
  answerText,
  bodyOf,
  type Plan,
  pathOf,
  type Request,
  requestText,
  type Script,
} from './script.ts'

interface Caller {
  readonly id: number
  readonly requests: readonly Request[]
  text: string
  readonly ear: Ear
  isPaused: boolean
  isBlocked: boolean
  hasEnded: boolean
  isReset: boolean
  state: 'open' | 'ending' | 'gone'
  exchanged: number
  /** Bytes written to it since it said that it takes no more. */
  whileBlocked: number
}

interface Server {
  readonly id: number
  readonly ear: Ear
  isConnected: boolean
  isPaused: boolean
  isBlocked: boolean
  isGone: boolean
  /** What it will write, and whether it then ends, or resets. */
  text: string
  then: 'stay' | 'end' | 'reset'
  answered: number
  plan: Plan | undefined
}

export class Run {
  readonly world: World
  readonly callers: Caller[]
  readonly servers = new Map<number, Server>()
  /** How often backends got a request, by path. */
  readonly seen = new Map<string, number>()
  /** What was heard of its body, the longest. */
  readonly bodies = new Map<string, string>()
  readonly outcomes: string[] = []
  readonly #script: Script
  #cut = 0

  constructor(script: Script) {
    this.#script = script
    this.world = new World({
      backends: 'AB'.slice(0, script.backends),
      config: { pipelinedBytesMax: 60, idlePerBackendMax: 1 },
    })
    this.callers = script.clients.map((requests, at) => this.#caller(at + 1, requests))
    for (const { id } of this.callers) {
      this.#say({ type: 'accepted', client: client(id), port: 'p', peers: PEERS })
    }
  }

  play(): void {
    for (const choice of this.#script.choices) this.#act(choice, true)
    // Then everybody does what is left to do.
    for (let turns = 0; turns < 20_000 && this.#act(turns * 7, false); turns++) {}
    for (let turns = 0; turns < 200 && this.world.ingress.deadline() !== undefined; turns++) {
      this.world.now = Math.max(this.world.now, this.world.ingress.deadline()!)
      this.#say({ type: 'tick' })
      for (let more = 0; more < 2_000 && this.#act(more * 7, false); more++) {}
    }
  }

  check(): void {
    const { ingress } = this.world
    ok(ingress.clients === 0, 'all clients are gone')
    ok(ingress.state.upstreams.size === 0, 'all connections to backends are gone')
    ok(ingress.deadline() === undefined, 'nothing is waited for')
    ok(
      [...this.servers.values()].every(({ isGone }) => isGone),
      'each was closed',
    )
    for (const caller of this.callers) this.#checkCaller(caller)
    for (const [path, times] of this.seen) {
      const [at, index] = path.slice(1).split('-').map(Number)
      const { method, framing, size } = this.callers[at! - 1]!.requests[index!]!
      if (method === 'POST') ok(times === 1, `${path} may not be repeated`)
      const body = framing === 'none' ? '' : bodyOf(path, size, 'q')
      ok(body.startsWith(this.bodies.get(path) ?? ''), `${path}: its body is intact`)
    }
  }

  #checkCaller({ id, requests, ear, exchanged, isReset }: Caller): void {
    const finals = ear.heard.filter(({ start }) => Number(start) >= 200)
    ok(finals.length <= requests.length, `${id}: at most one final answer each`)
    ok(exchanged >= finals.length && exchanged <= requests.length, `${id}: one outcome each`)
    for (const [index, answer] of finals.entries()) {
      const path = pathOf(id, index)
      const from = answer.fields.get('x-path')
      if (from === undefined) {
        ok(Number(answer.start) >= 400, `${path}: an answer of our own is a refusal`)
        continue
      }
      ok(from === path, `${path}: answered in order, not ${from}`)
      const { plans, method } = requests[index]!
      const fits = plans.some(({ framing, size, cutAt, resets }) => {
        const body = method === 'HEAD' || framing === 'none' ? '' : bodyOf(path, size, 'a')
        // that an answer without a length was cut is not to be seen where it just ends
        const isPart = !answer.isWhole || (framing === 'close' && cutAt !== undefined && !resets)
        return isPart ? body.startsWith(answer.body) : answer.body === body
      })
      ok(fits, `${path}: the body of its answer is intact`)
      ok(answer.isWhole || (isReset && index === finals.length - 1), `${path}: cut, and it shows`)
    }
  }

  /** Something that can happen, happens; false: nothing can. */
  #act(choice: number, mayHarm: boolean): boolean {
    const acts: (() => void)[] = []
    for (const caller of this.callers) this.#actsOf(caller, mayHarm, acts)
    for (const server of this.servers.values()) this.#actsOfServer(server, mayHarm, acts)
    if (mayHarm && acts.length > 0) acts.push(() => this.#pass(choice % 5 === 0 ? 700 : 10))
    if (acts.length === 0) return false
    acts[choice % acts.length]!()
    return true
  }

  #pass(ms: number): void {
    this.world.now += ms
    const due = this.world.ingress.deadline()
    if (due !== undefined && due <= this.world.now) this.#say({ type: 'tick' })
  }

  #actsOf(caller: Caller, mayHarm: boolean, acts: (() => void)[]): void {
    const id = client(caller.id)
    if (caller.state === 'gone') return
    if (caller.state === 'ending') {
      acts.push(() => this.#say({ type: 'client-finished', client: id }))
    }
    if (caller.isBlocked) {
      acts.push(() => {
        caller.isBlocked = false
        this.#say({ type: 'client-writable', client: id })
      })
    } else if (mayHarm && caller.state === 'open') {
      acts.push(() => {
        caller.isBlocked = true
        caller.whileBlocked = 0
        this.#say({ type: 'client-blocked', client: id })
      })
    }
    if (caller.isPaused || caller.hasEnded) return
    if (caller.text !== '') {
      acts.push(() => {
        const bytes = this.#bytes(caller)
        this.#say({ type: 'client-data', client: id, bytes })
        bytes.fill(0x21) // borrowed
      })
    } else if (caller.state === 'ending' || !mayHarm) {
      acts.push(() => {
        caller.hasEnded = true
        this.#say({ type: 'client-ended', client: id })
      })
    }
  }

  #actsOfServer(server: Server, mayHarm: boolean, acts: (() => void)[]): void {
    if (server.isGone) return
    const id = upstream(server.id)
    if (!server.isConnected) {
      acts.push(() => {
        server.isConnected = true
        this.#say({ type: 'upstream-connected', upstream: id })
      })
      if (mayHarm) {
        acts.push(() => {
          server.isGone = true
          const blame = 'backend'
          this.#say({ type: 'upstream-failed', upstream: id, blame, reason: 'refused' })
        })
      }
      return
    }
    if (server.isBlocked) {
      acts.push(() => {
        server.isBlocked = false
        this.#say({ type: 'upstream-writable', upstream: id })
      })
    } else if (mayHarm) {
      acts.push(() => {
        server.isBlocked = true
        this.#say({ type: 'upstream-blocked', upstream: id })
      })
    }
    if (server.isPaused) return
    if (server.text !== '') {
      acts.push(() => {
        const bytes = this.#bytes(server)
        this.#say({ type: 'upstream-data', upstream: id, bytes })
        bytes.fill(0x21)
      })
    } else if (server.then !== 'stay' || (mayHarm && server.answered > 0)) {
      acts.push(() => {
        const isReset = server.then === 'reset'
        server.then = 'stay'
        server.answered = 0
        this.#say({ type: isReset ? 'upstream-broken' : 'upstream-ended', upstream: id })
      })
    }
  }

  /** The next piece of what it has to say. */
  #bytes(of: { text: string }): Uint8Array {
    const { cuts } = this.#script
    const length = cuts[this.#cut++ % cuts.length]!
    const piece = of.text.slice(0, length)
    of.text = of.text.slice(length)
    return new Uint8Array(Buffer.from(piece, 'latin1'))
  }

  #say(event: IngressEvent): void {
    for (const command of this.world.raw(event)) this.#obey(command)
  }

  #obey(command: IngressCommand): void {
    if (command.type === 'connect') {
      this.servers.set(command.upstream, this.#server(command.upstream))
    } else if ('upstream' in command) {
      this.#obeyServer(this.servers.get(command.upstream)!, command)
    } else if (command.type === 'exchanged') {
      this.callers[command.exchange.client - 1]!.exchanged += 1
      this.outcomes.push(command.exchange.outcome)
    } else if ('client' in command) {
      this.#obeyCaller(this.callers[command.client - 1]!, command)
    }
  }

  #obeyCaller(caller: Caller, command: IngressCommand): void {
    ok(caller.state !== 'gone', 'no command names a client that is gone')
    switch (command.type) {
      case 'write-client': {
        ok(caller.state === 'open', 'nothing is written behind the end')
        const text = textOf(command)
        caller.whileBlocked += text.length
        ok(!caller.isBlocked || caller.whileBlocked < 1_500, 'what is not taken is not piled up')
        caller.ear.hear(text)
        return
      }
      case 'pause-client':
      case 'resume-client':
        ok(caller.isPaused === (command.type === 'resume-client'), 'paused or resumed once')
        caller.isPaused = command.type === 'pause-client'
        return
      case 'end-client':
        caller.state = 'ending'
        caller.ear.end()
        return
      case 'close-client':
        caller.state = 'gone'
        caller.isReset = command.reset
        return
    }
  }

  #obeyServer(server: Server, command: IngressCommand): void {
    ok(!server.isGone, 'no command names a connection that is gone')
    switch (command.type) {
      case 'write-upstream': {
        ok(server.isConnected, 'what is not connected is not written to')
        const { ear } = server
        const before = ear.heard.length
        ear.hear(textOf(command))
        for (const heard of ear.heard.slice(before)) this.#asked(server, heard)
        const last = ear.heard.at(-1)
        if (last?.isWhole === true) this.#answer(server, last)
        if (last !== undefined) this.#heardBody(last)
        return
      }
      case 'pause-upstream':
      case 'resume-upstream':
        ok(server.isPaused === (command.type === 'resume-upstream'), 'paused or resumed once')
        server.isPaused = command.type === 'pause-upstream'
        return
      case 'close-upstream':
        server.isGone = true
        return
    }
  }

  #asked(server: Server, heard: Heard): void {
    ok(server.text === '', 'asked only after all of its answer was read')
    ok(server.plan === undefined, 'only clean connections are used again')
    if (server.then !== 'stay') return // on its way out: it reads no more
    const path = pathIn(heard)
    const times = this.seen.get(path) ?? 0
    this.seen.set(path, times + 1)
    const [at, index] = path.slice(1).split('-').map(Number)
    const { plans } = this.callers[at! - 1]!.requests[index!]!
    server.plan = plans[Math.min(times, plans.length - 1)]!
    if (server.plan.early) this.#answer(server, heard)
  }

  #answer(server: Server, heard: Heard): void {
    const { plan } = server
    if (plan === undefined || plan.silent) return
    const [method] = heard.start.split(' ')
    const text = answerText(plan, pathIn(heard), method!)
    const { cutAt } = plan
    const isCut = cutAt !== undefined && cutAt < text.length
    server.text = isCut ? text.slice(0, cutAt) : text
    const ends = isCut || plan.close || plan.framing === 'close'
    server.then = !ends ? 'stay' : isCut && plan.resets ? 'reset' : 'end'
    server.answered += 1
    server.plan = undefined
  }

  #heardBody(heard: Heard): void {
    const path = pathIn(heard)
    if (heard.body.length > (this.bodies.get(path)?.length ?? 0)) this.bodies.set(path, heard.body)
  }

  #caller(id: number, requests: readonly Request[]): Caller {
    let finals = 0
    const ear = new Ear((heard) => {
      if (Number(heard.start) < 200) return 0
      const { method } = requests[finals++] ?? { method: 'GET' }
      const isBare = method === 'HEAD' || heard.start === '204'
      return isBare ? 0 : (lengthOf(heard) ?? UNTIL_CLOSE)
    })
    return {
      id,
      requests,
      ear,
      text: requests.map((each, index) => requestText(each, pathOf(id, index))).join(''),
      isPaused: false,
      isBlocked: false,
      hasEnded: false,
      isReset: false,
      state: 'open',
      exchanged: 0,
      whileBlocked: 0,
    }
  }

  #server(id: number): Server {
    return {
      id,
      ear: new Ear((heard) => lengthOf(heard) ?? 0),
      isConnected: false,
      isPaused: false,
      isBlocked: false,
      isGone: false,
      text: '',
      then: 'stay',
      answered: 0,
      plan: undefined,
    }
  }
}

const pathIn = ({ start }: Heard): string => start.split(' ')[1]!

const textOf = ({ head, bytes }: { head: string; bytes: Uint8Array | undefined }): string =>
  head + (bytes === undefined ? '' : Buffer.from(bytes).toString('latin1'))

const PEERS = {
  source: { a: 0, b: 0, c: -65_536, d: 1, port: 1 },
  destination: { a: 0, b: 0, c: -65_536, d: 1, port: 80 },
}
