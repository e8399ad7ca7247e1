import { unreachable } from '../machine.ts'
import { HighestRandomWeight } from './affinity/hrw.ts'
import { Maglev } from './affinity/maglev.ts'
import { LeastConnections } from './least-connections.ts'
import { PowerOfTwo } from './power-of-two.ts'
import { RoundRobin } from './round-robin.ts'
import type { Strategy } from './strategy.ts'

/** As a deployment file names them. */
export type StrategyName = 'round_robin' | 'hrw' | 'maglev' | 'least_connections' | 'power_of_two'

/** For one group; `seed`, any integer, is for those that draw. */
export function strategyNamed(name: StrategyName, seed: number): Strategy {
  switch (name) {
    case 'round_robin':
      return new RoundRobin()
    case 'hrw':
      return new HighestRandomWeight()
    case 'maglev':
      return new Maglev()
    case 'least_connections':
      return new LeastConnections()
    case 'power_of_two':
      return new PowerOfTwo(seed)
    default:
      return unreachable(name)
  }
}
