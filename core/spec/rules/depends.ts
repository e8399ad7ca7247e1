/** Dependencies must exist, and must not lead back to where they began (services W56). */
import type { DependencySpec, Deployment } from '../deployment.ts'
import type { Reading } from '../schema/reading.ts'
import { showKey } from '../schema/words.ts'

/** `declared` holds every service name of the file, those that could not be read included. */
export function checkDepends(
  { services, externals }: Deployment,
  declared: ReadonlySet<string>,
  reading: Reading,
): void {
  for (const [name, { depends }] of Object.entries(services)) {
    for (const dependency of depends) {
      const at = [...reading.pathOf(dependency), 'service']
      const wanted = dependency.service
      if (wanted === name) reading.report(at, `${showKey(name)} depends on itself`, 'value')
      else if (Object.hasOwn(externals, wanted)) {
        const advice = 'it runs elsewhere and is not waited for'
        reading.report(at, `${showKey(wanted)} is an external; ${advice}`, 'value')
      } else if (!declared.has(wanted)) {
        const hint = reading.didYouMean(wanted, declared)
        reading.report(at, `there is no service ${showKey(wanted)} in this file${hint}`, 'value')
      }
    }
  }
  reportCycles(services, reading)
}

interface Visit {
  readonly name: string
  readonly depends: readonly DependencySpec[]
  next: number
}

/**
 * Depth first with three colours, in order of names so that the order of the file does not matter,
 * and with a stack of its own: a file can chain more services than calls can nest.
 */
function reportCycles(services: Deployment['services'], reading: Reading): void {
  const depths = new Map<string, number | 'done'>()
  let left = CYCLES_MAX
  for (const root of Object.keys(services).sort()) {
    if (depths.has(root)) continue
    const stack: Visit[] = []
    const enter = (name: string): void => {
      depths.set(name, stack.length)
      stack.push({ name, depends: sorted(services[name]!.depends), next: 0 })
    }
    enter(root)
    while (stack.length > 0) {
      const top = stack.at(-1)!
      const edge = top.depends[top.next++]
      if (edge === undefined) {
        depths.set(top.name, 'done')
        stack.pop()
        continue
      }
      if (edge.service === top.name || !Object.hasOwn(services, edge.service)) continue
      const depth = depths.get(edge.service)
      if (depth === undefined) enter(edge.service)
      else if (depth !== 'done' && left-- > 0) {
        const names = stack.slice(depth).map(({ name }) => name)
        const at = [...reading.pathOf(edge), 'service']
        reading.report(at, `cyclic dependency: ${drawn(names)}`, 'value')
      }
    }
  }
}

const sorted = (depends: readonly DependencySpec[]): readonly DependencySpec[] =>
  [...depends].sort((a, b) => (a.service < b.service ? -1 : a.service > b.service ? 1 : 0))

/** `a -> b -> a`; the middle of a long one is left out. */
function drawn(names: readonly string[]): string {
  const shown =
    names.length <= DRAWN_MAX
      ? names
      : [...names.slice(0, DRAWN_MAX - 2), `(${names.length - DRAWN_MAX + 1} more)`, names.at(-1)!]
  return [...shown, names[0]!]
    .map((name) => (name.startsWith('(') ? name : showKey(name)))
    .join(' -> ')
}

/** Services that all depend on each other have countless cycles; the first ones are enough. */
const CYCLES_MAX = 100
const DRAWN_MAX = 12
