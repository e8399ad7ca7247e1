/** Bugs planted in the real ingress, to show that each HTTP checker notices what it is for. */
import type { IngressCommand } from '../../core/http/commands.ts'
import type { HttpListenerConfig, IngressConfig } from '../../core/http/config.ts'
import type { IngressEvent } from '../../core/http/events.ts'
import type { Instant } from '../../core/machine.ts'
import { toBytes, toText } from '../../sim/http/wire/content.ts'
import type { SimulatedIngress } from '../../sim/http/world.ts'
import { realBreed } from '../../sim/simulate.ts'
import type { Breed } from '../../sim/world.ts'

/** Stands between the ingress and the world. */
export interface IngressSaboteur {
  /** What the ingress is told instead of an event. */
  tell?(event: IngressEvent): readonly IngressEvent[]
  /** When it is told. */
  clock?(event: IngressEvent, now: Instant): Instant
  /** What the world is ordered instead of the ingress's commands. */
  order?(commands: readonly IngressCommand[], event: IngressEvent): readonly IngressCommand[]
  configure?(config: IngressConfig): IngressConfig
  listen?(config: HttpListenerConfig): HttpListenerConfig
  deadline?(real: Instant | undefined, now: Instant): Instant | undefined
}

export function plantInIngress(saboteur: () => IngressSaboteur): Breed {
  return {
    ...realBreed,
    ingress({ config, seed }) {
      const by = saboteur()
      return sabotaged(realBreed.ingress({ config: by.configure?.(config) ?? config, seed }), by)
    },
  }
}

function sabotaged(ingress: SimulatedIngress, by: IngressSaboteur): SimulatedIngress {
  let lastNow = 0
  return {
    step(event, now, out) {
      lastNow = now
      const commands: IngressCommand[] = []
      for (const each of by.tell?.(configured(event, by)) ?? [configured(event, by)]) {
        ingress.step(each, by.clock?.(each, now) ?? now, commands)
      }
      out.push(...(by.order?.(commands, event) ?? commands))
    },
    deadline: () =>
      by.deadline === undefined ? ingress.deadline() : by.deadline(ingress.deadline(), lastNow),
    get sizes() {
      return ingress.sizes
    },
    checkInvariants: () => ingress.checkInvariants(),
  }
}

function configured(event: IngressEvent, by: IngressSaboteur): IngressEvent {
  if (event.type === 'configure' && by.configure !== undefined) {
    return { ...event, config: by.configure(event.config) }
  }
  if (event.type === 'configure-listener' && by.listen !== undefined) {
    return { ...event, config: by.listen(event.config) }
  }
  return event
}

type Command<Type extends IngressCommand['type']> = Extract<IngressCommand, { type: Type }>

/** Commands of one type, changed, doubled or left out. */
export const each =
  <Type extends IngressCommand['type']>(
    type: Type,
    change: (command: Command<Type>) => readonly IngressCommand[],
  ) =>
  (commands: readonly IngressCommand[]): readonly IngressCommand[] =>
    commands.flatMap((command) =>
      command.type === type ? change(command as Command<Type>) : [command],
    )

export const without =
  (...types: readonly IngressCommand['type'][]) =>
  (commands: readonly IngressCommand[]): readonly IngressCommand[] =>
    commands.filter(({ type }) => !types.includes(type))

/** What one side says, with something in it replaced, in one read. */
export const hears =
  (type: 'client-data' | 'upstream-data', said: string | RegExp, heard: string) =>
  (event: IngressEvent): readonly IngressEvent[] =>
    event.type === type
      ? [{ ...event, bytes: toBytes(toText(event.bytes).replace(said, heard)) }]
      : [event]
