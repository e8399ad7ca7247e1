/** `weir down`: stops a running node, and counts down what it waits for. */
import { connect } from '../../node/operator/client.ts'
import { stateOfNode } from '../arguments.ts'
import { DONE, failed } from '../failure.ts'
import type { NodeOptions } from '../program.ts'
import { drainGist, drainText, worthSaying } from '../screen/drain.ts'
import { repaint } from '../screen/live-table.ts'
import type { Terminal } from '../screen/terminal.ts'
import { cutToWidth } from '../screen/width.ts'

export async function down(
  terminal: Terminal,
  options: NodeOptions & { readonly now?: boolean },
): Promise<number> {
  const client = await connect(stateOfNode(options.state))
  const startedAt = performance.now()
  const isNews = worthSaying()
  let shown: string[] = []
  for await (const step of client.shutdown(options.now ? 'abort' : 'drain')) {
    if (options.json) {
      terminal.out(`${JSON.stringify(step)}\n`)
    } else if (step.type === 'progress') {
      const { view, work } = step
      const now = performance.now()
      const text = drainText(view, work, now - startedAt)
      if (terminal.interactive) {
        const columns = terminal.columns() ?? text.length
        const next = [cutToWidth(text, columns)]
        terminal.out(repaint(shown, columns, '', next))
        shown = next
      } else if (isNews(drainGist(view, work), now)) {
        terminal.out(`${text}\n`)
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
