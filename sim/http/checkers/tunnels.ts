/** Tunnels: who says that no more comes is heard at the other end, and what came before it as well. */
import type { HttpWorld } from '../world.ts'
import type { HttpChecker, HttpStep } from './checker.ts'

export class Tunnels implements HttpChecker {
  afterStep({ now }: HttpStep, world: HttpWorld): void {
    for (const client of world.clients.live.values()) {
      if (!client.becameTunnel || client.toldGone) continue
      const request = client.requests.find(({ record }) => record === undefined)
      const upstream = request?.answer?.attempt?.upstream
      if (upstream === undefined || !upstream.isHeld || upstream.toldBroken) continue
      if (client.toldEnded && !upstream.isBlockedTold && !upstream.wasEnded) {
        world.fail(NAME, `client ${client.id} said its last at ${now}, and its backend waits`)
      }
      if (upstream.toldEnded && !client.isBlockedTold && !client.wasEnded) {
        world.fail(NAME, `upstream ${upstream.id} said its last at ${now}, and its client waits`)
      }
    }
  }
}

const NAME = 'http messages'
