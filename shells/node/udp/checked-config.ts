import { assert } from '../../../core/machine.ts'
import { configProblem, type UdpConfig } from '../../../core/udp/config.ts'

/** As the machine would, but before it, where whoever is wrong finds out. */
export function checkedConfig(config: UdpConfig): UdpConfig {
  const problem = configProblem(config)
  assert(problem === undefined, problem ?? '')
  return config
}
