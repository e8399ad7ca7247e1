/** `weir replay`: does a journal still give what it gave when it was written? */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { NodeCommand } from '../../../core/node/commands.ts'
import type { NodeEvent } from '../../../core/node/events.ts'
import { NodeMachine } from '../../../core/node/node.ts'
import type { NodeSnapshot } from '../../../core/node/snapshot.ts'
import type { JsonValue } from '../../../core/spec/deployment.ts'
import {
  type JournalItem,
  type ReplaySubject,
  readJournal,
  replay as replayJournal,
  replayLines,
} from '../../node/journal/replay.ts'
import { stateOfNode } from '../arguments.ts'
import { DONE, FAILED, wrongCall } from '../failure.ts'
import type { NodeOptions } from '../program.ts'
import { type Style, styled } from '../screen/table.ts'
import type { Terminal } from '../screen/terminal.ts'
import { plainLine } from '../screen/width.ts'
import { weirVersion } from '../version.ts'

export async function replay(
  terminal: Terminal,
  path: string | undefined,
  options: NodeOptions & { readonly show?: boolean },
): Promise<number> {
  const where = path ?? join(stateOfNode(options.state), 'journal')
  if (!existsSync(where)) {
    throw wrongCall(`there is no journal at ${where}: name a journal file or directory`)
  }
  if (options.show) return showRecords(terminal, where, options.json === true)
  const report = replayJournal(where, NODE, weirVersion())
  if (options.json) {
    terminal.out(`${JSON.stringify(report, null, 2)}\n`)
  } else {
    const [verdict = '', ...rest] = replayLines(report).map(plainLine)
    const style: Style = report.outcome === 'identical' ? 'green' : 'red'
    terminal.out(`${styled(verdict, style, terminal.colour)}\n`)
    for (const line of rest) terminal.out(`${line}\n`)
  }
  return report.outcome === 'identical' ? DONE : FAILED
}

// what an earlier version wrote is judged by restore itself, and whatever it throws is reported
const NODE: ReplaySubject<NodeEvent, NodeCommand> = {
  restore: (snapshot, now) => NodeMachine.restore(snapshot as unknown as NodeSnapshot, now),
  snapshot: (machine, now) => (machine as NodeMachine).snapshot(now) as unknown as JsonValue,
}

async function showRecords(terminal: Terminal, where: string, json: boolean): Promise<number> {
  let damaged = false
  for (const item of readJournal(where)) {
    damaged ||= item.type === 'note' && item.note.kind === 'damaged'
    terminal.out(`${json ? JSON.stringify(item) : plainLine(recordLine(item))}\n`)
    await terminal.drained()
    if (terminal.readerGone.aborted) break
  }
  return damaged ? FAILED : DONE
}

/** `000001.jsonl:12  n 11  1042.5 ms  {"type":"tick"}`. */
function recordLine(item: JournalItem): string {
  if (item.type === 'note') {
    const { file, line, kind, text } = item.note
    return `${line === 0 ? file : `${file}:${line}`}  ${kind}  ${text}`
  }
  const { file, line, record } = item
  const at = `${file}:${line}  n ${record.n}  ${record.now} ms`
  if (record.type === 'event') return `${at}  ${JSON.stringify(record.event)}`
  if (record.type === 'fault')
    return `${at}  fault ${JSON.stringify(record.event)}  ${record.error}`
  return `${at}  ${record.type} ${record.boot}, version ${record.version}`
}
