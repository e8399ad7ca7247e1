/** Which of the two ways UDP is run. */
import { BatchHost, batchProblem } from './batch-host.ts'
import { DgramHost } from './dgram-host.ts'
import type { UdpHost } from './udp-host.ts'

export interface ChooseHostOptions {
  /** Gets one line when the plain way is taken for want of something, and for what goes wrong. */
  readonly notice: (text: string) => void
  /** `auto` when not said; the variable `WEIR_UDP` overrides it. */
  readonly kind?: 'auto' | UdpHost['kind']
}

/** In batches where that works, unless it is not wanted; else the plain way. */
export async function makeUdpHost({ notice, kind }: ChooseHostOptions): Promise<UdpHost> {
  const wanted = kindNamed(process.env.WEIR_UDP, notice) ?? kind ?? 'auto'
  if (wanted === 'dgram') return new DgramHost()
  const problem = await batchProblem()
  if (problem === undefined) return new BatchHost({ notice })
  notice(`UDP runs on plain sockets: ${problem}`)
  return new DgramHost()
}

function kindNamed(
  name: string | undefined,
  notice: (text: string) => void,
): 'auto' | UdpHost['kind'] | undefined {
  if (name === undefined || name === '') return undefined
  if (name === 'auto' || name === 'batch' || name === 'dgram') return name
  notice(`WEIR_UDP is auto, batch or dgram, not ${name}`)
  return undefined
}
