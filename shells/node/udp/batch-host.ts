/**
 * UDP in batches of system calls, in one thread for all listeners of the process: `recvmmsg`,
 * `sendmmsg` and `epoll` through koffi. Only where {@link batchProblem} finds nothing to say.
 */
import { existsSync } from 'node:fs'
import { reasonOf } from '../socket-errors.ts'
import type { ListenerNumber } from './batch/messages.ts'
import {
  type RemoteEnd,
  RemoteListener,
  type RemoteListenerHost,
} from './batch/parent/remote-listener.ts'
import { resolveHost } from './batch/parent/resolve.ts'
import { type Report, WorkerLink } from './batch/parent/worker-link.ts'
import { loadLibc } from './batch/system/libc.ts'
import { selfTest } from './batch/system/self-test.ts'
import { LocalAddresses } from './local-addresses.ts'
import type { UdpHost, UdpListener, UdpListenerOptions } from './udp-host.ts'

declare const __WEIR_UDP_WORKER__: string | undefined

export interface BatchHostOptions {
  /** One line when the worker failed. */
  readonly notice: (text: string) => void
  /** The worker's file. */
  readonly worker?: URL
}

/** Why a {@link BatchHost} would not work here; undefined when it would. */
export async function batchProblem(worker: URL = WORKER): Promise<string | undefined> {
  if (!existsSync(worker)) return `${worker.pathname} is missing`
  const loaded = await loadLibc()
  return loaded.type === 'unavailable' ? loaded.reason : selfTest(loaded.libc)
}

export class BatchHost implements UdpHost, RemoteListenerHost {
  readonly kind = 'batch'
  readonly #notice: (text: string) => void
  readonly #worker: URL
  readonly #interfaces = new LocalAddresses()
  /** All that are not over, also while their end in the worker is broken. */
  readonly #listeners = new Set<RemoteListener>()
  readonly #attached = new Map<ListenerNumber, RemoteListener>()
  #numberLast = 0
  /** Started by the first listener. */
  #link: WorkerLink | undefined

  constructor({ notice, worker = WORKER }: BatchHostOptions) {
    this.#notice = notice
    this.#worker = worker
  }

  open(options: UdpListenerOptions): UdpListener {
    const listener = new RemoteListener(this, options)
    this.#listeners.add(listener)
    return listener
  }

  async stop(): Promise<void> {
    const link = this.#link
    this.#link = undefined
    await link?.stop()
    for (const listener of this.#listeners) listener.halt()
  }

  attach(listener: RemoteListener): RemoteEnd {
    this.#link ??= this.#start()
    this.#link.keepAlive(true)
    this.#numberLast += 1
    this.#attached.set(this.#numberLast, listener)
    return { link: this.#link, number: this.#numberLast }
  }

  detach({ number, link }: RemoteEnd): void {
    this.#attached.delete(number)
    if (this.#attached.size === 0) link.keepAlive(false)
  }

  over(listener: RemoteListener): void {
    this.#listeners.delete(listener)
  }

  resolve(host: string): Promise<string> {
    return resolveHost(host, this.#interfaces)
  }

  shown(address: string): string {
    return address.replace(/%(\d+)(?=\])/, (zone, number) => {
      const name = this.#interfaces.nameOf(Number(number))
      return name === undefined ? zone : `%${name}`
    })
  }

  #start(): WorkerLink {
    const link: WorkerLink = new WorkerLink({
      worker: this.#worker,
      report: (report) => this.#take(report, link),
      failed: (reason) => this.#failed(reason),
    })
    return link
  }

  #take(report: Report, link: WorkerLink): void {
    if (report.type === 'resolve') {
      void this.#look(report.host, link)
      return
    }
    const listener = this.#attached.get(report.listener)
    if (report.type === 'broken') this.#notice(`a UDP listener failed: ${report.reason}`)
    listener?.report(report)
  }

  async #look(host: string, link: WorkerLink): Promise<void> {
    const answer = await this.resolve(host).then(
      (ip) => ({ type: 'address', ip }) as const,
      (error) => ({ type: 'failed', reason: reasonOf(error) }) as const,
    )
    link.post({ type: 'resolved', host, answer })
  }

  /** Its sockets are closed by now. */
  #failed(reason: string): void {
    this.#link = undefined
    this.#notice(`the UDP worker failed: ${reason}`)
    for (const listener of [...this.#attached.values()]) listener.lost('the UDP worker failed')
  }
}

/** In the sources beside this file; the build says where its bundle is. */
const WORKER = new URL(
  typeof __WEIR_UDP_WORKER__ === 'string' ? __WEIR_UDP_WORKER__ : './batch/worker.ts',
  import.meta.url,
)
