/** Tells who waits for a deployment what for; says nothing of short waits. */
import type { OperatorClient } from '../../node/operator/client.ts'
import { waitingText } from '../screen/describe.ts'
import type { Terminal } from '../screen/terminal.ts'

/** Resolves or rejects as `waited` does. Until then, every five seconds, a line on standard error. */
export async function tellingWhy<A>(
  waited: Promise<A>,
  terminal: Pick<Terminal, 'error'>,
  client: Pick<OperatorClient, 'status'>,
  deployment: string,
): Promise<A> {
  let isOver = false
  let isAsking = false
  const look = async (): Promise<void> => {
    if (isAsking) return
    isAsking = true
    try {
      const view = await client.status()
      if (!isOver) terminal.error(`${waitingText(view, deployment)}\n`)
    } catch {
      // what is waited for fails as well, and says why
    } finally {
      isAsking = false
    }
  }
  const timer = setInterval(() => void look(), LOOK_MS)
  try {
    return await waited
  } finally {
    isOver = true
    clearInterval(timer)
  }
}

const LOOK_MS = 5_000
