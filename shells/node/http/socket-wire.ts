import type { Socket } from 'node:net'
import { releaseSocket } from '../listener/stream/release-socket.ts'
import { type Listening, Wire } from './wire.ts'

/** A connection of HTTP/1.1, to whichever side. */
export abstract class SocketWire extends Wire<Socket> {
  protected readonly to: Listening

  constructor(socket: Socket, to: Listening) {
    super(socket)
    this.to = to
  }

  override pause(): void {
    super.pause()
    this.to.paused.add(this.stream, () => this.report('broken'))
  }

  override resume(): void {
    this.to.paused.delete(this.stream)
    super.resume()
  }

  close(reset: boolean): void {
    this.detach()
    releaseSocket(this.stream, reset)
  }

  protected override detach(): void {
    super.detach()
    this.to.paused.delete(this.stream)
  }
}
