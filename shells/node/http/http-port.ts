import type { Socket } from 'node:net'
import type { HttpRoute } from '../../../core/http/config.ts'
import type { PortId } from '../../../core/http/events.ts'
import type { HttpDoorway } from '../../../core/node/commands.ts'
import { portLimitsOf } from '../../../core/node/listener-config.ts'
import type { Peers } from '../../../core/stream/entrance/events.ts'
import type { HttpShell } from './http-shell.ts'

/** One listening socket as the ingress sees it: where clients come in, and routes lead on. */
export class HttpPort {
  readonly shell: Pick<HttpShell, 'accept' | 'applyRoutes' | 'closePort'>
  readonly #id: PortId
  #isOpen = false

  /** `id` is never used again. */
  constructor(shell: HttpPort['shell'], id: PortId) {
    this.shell = shell
    this.#id = id
  }

  /** `number`: as clients see it. For requests that begin from now on. */
  apply(number: number, doorway: HttpDoorway): void {
    this.#isOpen = true
    this.shell.applyRoutes({
      type: 'apply-routes',
      port: this.#id,
      number,
      routes: doorway.http.map(({ host, ...route }): HttpRoute => {
        return host === undefined ? route : { ...route, host: host.toLowerCase() }
      }),
      limits: portLimitsOf(doorway),
    })
  }

  accept(client: Socket, peers: Peers | undefined): void {
    this.shell.accept(this.#id, client, peers)
  }

  /** Who came in through it goes on until the request is answered. */
  close(): void {
    if (this.#isOpen) this.shell.closePort(this.#id)
    this.#isOpen = false
  }
}
