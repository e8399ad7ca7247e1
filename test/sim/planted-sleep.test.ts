import { describe } from 'vitest'
import type { NodeCommand } from '../../core/node/commands.ts'
import { type Planted, testPlanted } from './catching.ts'
import { plant } from './planted.ts'

const saying = (each: NodeCommand, whenEmpty: 'refuse' | 'hold'): NodeCommand =>
  each.type === 'apply-backends' ? { ...each, whenEmpty } : each

const PLANTED: readonly Planted[] = [
  {
    bug: 'nobody wakes what sleeps',
    breed: plant(() => ({
      tell: (event) => (event.type === 'listener-wanted' ? [] : [event]),
    })),
    checker: 'liveness',
    says: /to answer on|is to be had on/,
    seeds: 200,
  },
  {
    bug: 'who comes while it sleeps is refused',
    breed: plant(() => ({
      order: (commands) => commands.map((each) => saying(each, 'refuse')),
    })),
    checker: 'liveness',
    says: /to hold who comes on/,
    seeds: 40,
  },
  {
    bug: 'who comes waits for what nobody wakes',
    breed: plant(() => ({
      order: (commands) => commands.map((each) => saying(each, 'hold')),
    })),
    checker: 'services',
    says: /lets clients wait for/,
    seeds: 20,
  },
]

describe('the simulator notices', () => {
  testPlanted(PLANTED)
})
