/** `weir down`: stops a running node and says what it waits for. */
import type { NodeView } from '../../../core/node/view.ts'
import { connect } from '../../node/operator/client.ts'
import { stateOfNode } from '../arguments.ts'
import { DONE, failed } from '../failure.ts'
import type { NodeOptions } from '../program.ts'
import { countText, durationText, waitingFor } from '../screen/describe.ts'
import { repaint } from '../screen/live-table.ts'
import type { Terminal } from '../screen/terminal.ts'
import { cutToWidth, plainLine } from '../screen/width.ts'

export async function down(
  terminal: Terminal,
  options: NodeOptions & { readonly now?: boolean },
): Promise<number> {
  const client = await connect(stateOfNode(options.state))
  const startedAt = performance.now()
  let shown: string[] = []
  let left = -1
  for await (const step of client.shutdown(options.now ? 'abort' : 'drain')) {
    if (options.json) {
      terminal.out(`${JSON.stringify(step)}\n`)
    } else if (step.type === 'progress') {
      const text = drainText(step.view, performance.now() - startedAt)
      if (terminal.interactive) {
        const columns = terminal.columns() ?? text.length
        const next = [cutToWidth(text, columns)]
        terminal.out(repaint(shown, columns, '', next))
        shown = next
      } else if (step.view.replicas.length !== left) {
        left = step.view.replicas.length
        if (left > 0) terminal.out(`${text}\n`)
      }
    }
    if (step.type !== 'stopped') continue
    if (!options.json) {
      const cleared = terminal.interactive ? repaint(shown, terminal.columns() ?? 80, '', []) : ''
      terminal.out(`${cleared}stopped\n`)
    }
    return DONE
  }
  throw failed('the node closed the connection before it said that it had stopped: see weir status')
}

/** `stopping for 3s: 2 replicas left: web-1 (draining, at most 27s), web-2 (stopping)`. */
export function drainText(view: NodeView, elapsedMs: number): string {
  const count = view.replicas.length
  const left = count === 0 ? '' : `, ${countText(count, 'replica')} left: ${waitingFor(view)}`
  return plainLine(`stopping for ${durationText(elapsedMs)}${left}`)
}
