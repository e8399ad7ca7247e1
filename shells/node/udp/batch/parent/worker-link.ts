/**
 * The parent's end of one worker: starts it, wakes it for each message, matches answers with
 * calls, and closes what it leaves behind, however it ends.
 */
import { closeSync, writeSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import { faultLine } from '../fault-line.ts'
import type {
  Answer,
  CallNumber,
  FromWorker,
  PlainError,
  ToWorker,
  WorkerData,
} from '../messages.ts'
import { descriptorsIn, emptyBook } from '../system/descriptor-book.ts'

/** What is no answer to a call. */
export type Report = Exclude<FromWorker, { type: 'ready' | 'answer' | 'refused' }>

export interface WorkerLinkOptions {
  readonly worker: URL
  readonly report: (report: Report) => void
  /** It ended, and was not told to. */
  readonly failed: (reason: string) => void
}

export class WorkerLink {
  readonly #worker: Worker
  readonly #calls = new Map<CallNumber, Call>()
  readonly #ended = Promise.withResolvers<void>()
  #callLast = 0
  /** Its eventfd, once it takes messages and until it ended. */
  #wake: number | undefined
  #error: unknown
  #state: 'running' | 'stopping' | 'ended' = 'running'

  constructor({ worker, report, failed }: WorkerLinkOptions) {
    const workerData: WorkerData = { book: emptyBook() }
    // Without the process's own flags: a worker refuses some of them (`--input-type`).
    this.#worker = new Worker(worker, { name: 'weir-udp', workerData, execArgv: [] })
    this.#worker.on('message', (message: FromWorker) => this.#take(message, report))
    this.#worker.on('error', (error) => {
      this.#error = error
    })
    this.#worker.on('exit', (code) => {
      const wasRunning = this.#state === 'running'
      this.#end(descriptorsIn(workerData.book), `the UDP worker ended (${code})`)
      if (!wasRunning) return
      failed(this.#error === undefined ? `it ended with ${code}` : faultLine(this.#error))
    })
  }

  /** What is sent to a worker that ended goes nowhere. */
  post(message: ToWorker): void {
    if (this.#state === 'ended') return
    this.#worker.postMessage(message)
    this.#wakeUp()
  }

  /** Rejects with the system's error, or because the worker ended. */
  call(message: Distribute<Extract<ToWorker, { call: CallNumber }>>): Promise<Answer> {
    if (this.#state === 'ended') return Promise.reject(new Error('the UDP worker ended'))
    this.#callLast += 1
    const call = this.#callLast
    const { promise, resolve, reject } = Promise.withResolvers<Answer>()
    this.#calls.set(call, { resolve, reject })
    this.post({ ...message, call })
    return promise
  }

  /** Whether the process stays for it; while it stops it does. */
  keepAlive(isNeeded: boolean): void {
    if (isNeeded || this.#state === 'stopping') this.#worker.ref()
    else this.#worker.unref()
  }

  /** Ends every listener at once, and resolves when every descriptor is closed. */
  stop(): Promise<void> {
    this.post({ type: 'stop' })
    if (this.#state === 'running') this.#state = 'stopping'
    this.keepAlive(true)
    return this.#ended.promise
  }

  #take(message: FromWorker, report: (report: Report) => void): void {
    switch (message.type) {
      case 'ready':
        this.#wake = message.wake
        this.#wakeUp()
        return
      case 'answer':
        this.#callOf(message.call)?.resolve(message.answer)
        return
      case 'refused':
        this.#callOf(message.call)?.reject(errorOf(message.error))
        return
      default:
        report(message)
    }
  }

  #callOf(number: CallNumber): Call | undefined {
    const call = this.#calls.get(number)
    this.#calls.delete(number)
    return call
  }

  #wakeUp(): void {
    if (this.#wake !== undefined) writeSync(this.#wake, ONE)
  }

  #end(left: readonly number[], reason: string): void {
    this.#state = 'ended'
    this.#wake = undefined
    for (const fd of left) closeQuietly(fd)
    for (const call of this.#calls.values()) call.reject(new Error(reason))
    this.#calls.clear()
    this.#ended.resolve()
  }
}

interface Call {
  readonly resolve: (answer: Answer) => void
  readonly reject: (error: Error) => void
}

type Distribute<Message> = Message extends unknown ? Omit<Message, 'call'> : never

/** With what the errors of Node's own sockets have. */
const errorOf = ({ message, ...rest }: PlainError): Error => Object.assign(new Error(message), rest)

function closeQuietly(fd: number): void {
  try {
    closeSync(fd)
  } catch {
    // The worker closed it just before it ended.
  }
}

/** What an eventfd is written. */
const ONE = new Uint8Array(new BigUint64Array([1n]).buffer)
