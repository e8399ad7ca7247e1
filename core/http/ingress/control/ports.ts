/** Ports: what leads to them, and how they end. */
import type { IngressConfig } from '../../config.ts'
import type { ControlEvent } from '../../events.ts'
import { RouteTable } from '../../routes/table.ts'
import { endIdle } from '../clients/closing.ts'
import { type IngressState, type Port, READY } from '../state.ts'

type Event<T extends ControlEvent['type']> = Extract<ControlEvent, { type: T }>

export function onConfigure(state: IngressState, config: IngressConfig): void {
  state.config = config
  for (const port of state.ports.values()) port.limits = limitsOf(config, port.told)
  for (const listener of state.listeners.values()) {
    listener.limits = { ...listener.limits, ...limitsOfLines(config) }
  }
}

export function onApplyRoutes(
  state: IngressState,
  { port: id, number, routes, limits: told }: Event<'apply-routes'>,
): void {
  const table = new RouteTable(routes)
  const limits = limitsOf(state.config, told)
  const port = state.ports.get(id)
  if (port === undefined) {
    const clients = new Set<never>()
    state.ports.set(id, { number, routes: table, told, limits, isClosing: false, clients })
    return
  }
  port.number = number
  port.routes = table
  port.told = told
  port.limits = limits
}

export function onClosePort(state: IngressState, { port: id }: Event<'close-port'>): void {
  const port = state.ports.get(id)
  if (port === undefined) return
  // Its clients know it still. If it is opened again, that is another one.
  state.ports.delete(id)
  port.isClosing = true
  const clients = port.clients.values()
  state.chores.push((now, out) => {
    const next = clients.next()
    if (!next.done && next.value.stage === READY) endIdle(state, next.value, now, out)
    return !next.done
  })
}

const limitsOfLines = ({ lineBytesMax, fieldsMax }: IngressConfig) => ({ lineBytesMax, fieldsMax })

const limitsOf = (config: IngressConfig, told = config.limits): Port['limits'] => ({
  ...limitsOfLines(config),
  ...told,
})
