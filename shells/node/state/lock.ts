/**
 * One node for one state directory. The lock is a listening socket in Linux's abstract namespace,
 * named after the node's id: the kernel gives it to exactly one process and takes it back when
 * that process ends, however it ends. A lock file cannot do either: taking over a stale one is a
 * race, and it disappears with a deleted state directory, whose next node would take the running
 * programs of the first for leftovers.
 */
import net from 'node:net'
import os from 'node:os'
import { ANSWER_CHARACTERS_MAX, ASK_MS_MAX, readHolder } from './ask-socket.ts'
import { AlreadyRunning } from './start-error.ts'

export interface Guard {
  /** Tells who comes next that waiting is worth while. */
  leave(): void
  release(): Promise<void>
}

export interface GuardOptions {
  readonly nodeId: string
  /** For the message of a refusal. */
  readonly socketPath: string
  readonly log: (level: 'info' | 'warn' | 'error', text: string) => void
}

/** Throws {@link AlreadyRunning}. Without abstract sockets it warns, and holds nothing. */
export async function holdGuard(options: GuardOptions): Promise<Guard> {
  const name = `\0weir-${os.userInfo().uid}-${options.nodeId}`
  const giveUpAt = performance.now() + LEAVING_MS_MAX
  for (;;) {
    const tried = await listen(name)
    if (tried.type === 'held') return tried.guard
    if (tried.type === 'unsupported') {
      const text = `state: two nodes starting at once are not told apart here (${tried.reason})`
      options.log('warn', text)
      return { leave: () => {}, release: async () => {} }
    }
    const holder = await askGuard(name)
    if (holder.type === 'gone') continue // it ended between the two questions
    const waiting = holder.leaving && performance.now() < giveUpAt
    if (!waiting) throw new AlreadyRunning({ pid: holder.pid, socket: options.socketPath })
    await new Promise((resolve) => setTimeout(resolve, LEAVING_POLL_MS))
  }
}

type Listening =
  | { type: 'held'; guard: Guard }
  | { type: 'busy' }
  | { type: 'unsupported'; reason: string }

function listen(name: string): Promise<Listening> {
  let leaving = false
  const server = net.createServer((socket) => {
    socket.on('error', () => {})
    socket.end(`${JSON.stringify({ pid: process.pid, leaving })}\n`)
    socket.resume()
    socket.setTimeout(ASK_MS_MAX, () => socket.destroy())
  })
  const guard: Guard = {
    leave: () => {
      leaving = true
    },
    release: () => new Promise((resolve) => server.close(() => resolve())),
  }
  return new Promise((resolve) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve({ type: 'busy' })
      else resolve({ type: 'unsupported', reason: error.message })
    })
    server.listen(name, () => {
      server.on('error', () => {})
      server.unref()
      resolve({ type: 'held', guard })
    })
  })
}

type Holder = { type: 'gone' } | { type: 'holder'; pid: number; leaving: boolean }

function askGuard(name: string): Promise<Holder> {
  return new Promise((resolve) => {
    let text = ''
    const socket = net.connect(name)
    const done = (): void => {
      socket.destroy()
      resolve({ type: 'holder', ...readHolder(text) })
    }
    socket.setTimeout(ASK_MS_MAX, done)
    socket.on('data', (data) => {
      text += data.toString('utf8')
      if (text.length > ANSWER_CHARACTERS_MAX || text.includes('\n')) done()
    })
    socket.on('end', done)
    socket.on('error', (error: NodeJS.ErrnoException) => {
      socket.destroy()
      if (error.code === 'ECONNREFUSED') resolve({ type: 'gone' })
      else done()
    })
  })
}

const LEAVING_MS_MAX = 5_000
const LEAVING_POLL_MS = 25
