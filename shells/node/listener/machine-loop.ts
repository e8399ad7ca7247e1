import type { Machine } from '../../../core/machine.ts'
import { Alarm } from './alarm.ts'

/**
 * The pump of a machine of the data plane: one event after the other, the commands of each in their
 * order, and a tick at its deadline. What happens while commands run waits for its turn.
 */
export class MachineLoop<Event, Command> {
  readonly #machine: Machine<Event | Tick, Command>
  readonly #apply: Apply<Command>
  readonly #inbox: (Event | Tick)[] = []
  readonly #alarm = new Alarm(() => this.step({ type: 'tick' }))
  #stepping = false

  constructor(machine: Machine<Event | Tick, Command>, apply: Apply<Command>) {
    this.#machine = machine
    this.#apply = apply
  }

  step(event: Event | Tick): void {
    if (this.#stepping) {
      this.#inbox.push(event)
      return
    }
    this.#stepping = true
    this.#run(event)
    while (this.#inbox.length > 0) this.#run(this.#inbox.shift()!)
    this.#stepping = false
    this.#alarm.set(this.#machine.deadline())
  }

  /** No tick comes any more, unless there is another event. */
  stop(): void {
    this.#alarm.clear()
  }

  #run(event: Event | Tick): void {
    // Emptying one array again and again takes longer than making new ones.
    const batch: Command[] = []
    this.#machine.step(event, performance.now(), batch)
    for (let at = 0; at < batch.length; at++) this.#apply(batch[at]!, batch[at + 1])
  }
}

/** `next`: what is to be done after it in the same step. */
type Apply<Command> = (command: Command, next: Command | undefined) => void

interface Tick {
  readonly type: 'tick'
}
