/** What tests of metrics share: numbers to tell apart, and the text read back. */
import type { ListenerView } from '../../../../core/node/view.ts'
import { listenerId, serviceKey } from '../../../../core/services/identity.ts'

/** Every number another, so that one in two places is found. */
export function numbersFrom(first: number) {
  let last = first - 1
  const next = (): number => ++last
  const fill = <Value>(value: Value): Value => {
    if (typeof value === 'number') return next() as Value
    return Object.fromEntries(
      Object.entries(value as object).map(([key, each]) => [key, fill(each)]),
    ) as Value
  }
  return { next, fill }
}

export interface Line {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

export function linesOf(text: string): Line[] {
  return text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [, name = '', labels = '', value] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? []
      const pairs = [...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([, key, each]) => [key, each])
      return { name, labels: Object.fromEntries(pairs), value: Number(value) }
    })
}

export const listenerRow = (more: Partial<ListenerView>): ListenerView => ({
  deployment: 'hello',
  service: 'dns',
  endpoint: 'dns',
  protocol: 'udp',
  listener: listenerId(serviceKey('hello', 'dns'), 'dns', 1),
  purpose: 'public',
  tls: false,
  strategy: 'round_robin',
  address: '0.0.0.0:53',
  state: 'serving',
  backends: 2,
  members: [],
  detail: '',
  ...more,
})
