import { type ChildProcess, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import fs from 'node:fs'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { Effect } from 'effect'
import { describe, expect, onTestFinished, test } from 'vitest'
import { connect } from '../../../../shells/node/operator/client.ts'
import { makeOperatorServer } from '../../../../shells/node/operator/server.ts'
import { openStateDirectory, type StateDirectory } from '../../../../shells/node/state/directory.ts'
import { nodeIdOf, socketPathsOf } from '../../../../shells/node/state/places.ts'
import { temporaryDirectory } from '../temporary-directory.ts'

interface Opened {
  readonly state: StateDirectory
  readonly said: readonly string[]
}

/** Opens a state directory, looks at it, and leaves it. Rejects with the start error. */
async function opening<A>(directory: string, look: (opened: Opened) => A | Promise<A>): Promise<A> {
  const said: string[] = []
  const log = (level: string, text: string) => said.push(`${level} ${text}`)
  const program = Effect.scoped(
    Effect.gen(function* () {
      const state = yield* openStateDirectory({ path: directory, version: '1.2.3', log })
      return yield* Effect.promise(async () => look({ state, said }))
    }),
  )
  const exit = await Effect.runPromise(Effect.result(program))
  if (exit._tag === 'Failure') throw exit.failure
  return exit.success
}

/** Says what it printed first. */
async function holder(
  directory: string,
  mode = '',
): Promise<{ said: string; child: ChildProcess }> {
  const script = path.join(import.meta.dirname, 'hold-state.ts')
  const child = spawn(process.execPath, [script, directory, mode], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const [said] = (await once(child.stdout!, 'data')) as [Buffer]
  return { said: said.toString('utf8').trim(), child }
}

async function kill(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL')
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
}

/** A directory open to all with empty files; a name that ends in `/` is a directory. */
function holding(files: readonly string[]): string {
  const directory = path.join(temporaryDirectory(), 'state')
  fs.mkdirSync(directory)
  for (const file of files) {
    const where = path.join(directory, file)
    fs.mkdirSync(file.endsWith('/') ? where : path.dirname(where), { recursive: true })
    if (!file.endsWith('/')) fs.writeFileSync(where, '')
  }
  fs.chmodSync(directory, 0o755)
  return directory
}

describe('a state directory', () => {
  test('is made, for its owner alone', async () => {
    const directory = path.join(temporaryDirectory(), 'deep', 'state')
    await opening(directory, ({ state, said }) => {
      expect(said).toEqual([`info state: created ${directory}`])
      expect(state.path).toBe(directory)
      for (const each of [directory, state.journalDirectory, state.logsDirectory]) {
        expect(fs.statSync(each).mode & 0o777).toBe(0o700)
      }
      const known = JSON.parse(fs.readFileSync(path.join(directory, 'node.json'), 'utf8'))
      expect(known).toMatchObject({ pid: process.pid, node: state.nodeId, version: '1.2.3' })
    })
    expect(fs.readdirSync(directory).sort()).toEqual(['journal', 'logs'])
  })

  test('names its node by its real path, also before it exists', async () => {
    const root = temporaryDirectory()
    const real = path.join(root, 'real')
    const id = createHash('sha256').update(path.join(real, 'state')).digest('hex').slice(0, 16)
    expect(nodeIdOf(path.join(real, 'state'))).toBe(id)
    fs.mkdirSync(real)
    fs.symlinkSync(real, path.join(root, 'link'))
    expect(nodeIdOf(path.join(root, 'link', 'state'))).toBe(id)
    const given = path.join(root, 'link', '..', 'link', 'state')
    expect(await opening(given, ({ state }) => state.nodeId)).toBe(id)
    expect(nodeIdOf(path.join(real, 'state'))).toBe(id)
  })

  test.each([
    ['files of somebody', ['README.md', 'src', 'weir.yaml'], 'README.md, src, weir.yaml'],
    ['more than are shown', ['a', 'b', 'c', 'd', 'e'], 'a, b, c, d, ...'],
    ['logs of somebody', ['logs/access.log'], 'logs'],
    ['ours among others', ['journal/notes.txt', 'main.c'], 'main.c'],
  ])('one with %s is refused and stays as it is', async (_what, files, shown) => {
    const directory = holding(files)
    await expect(opening(directory, () => {})).rejects.toMatchObject({
      _tag: 'StateUnusable',
      path: directory,
      reason:
        `it holds what is not Weir's (${shown}); ` +
        `name an empty or a new directory, like ${path.join(directory, '.weir')}`,
    })
    expect(fs.statSync(directory).mode & 0o777).toBe(0o755)
  })

  test.each([
    ['nothing', []],
    ['a file system of its own', ['lost+found/']],
    ['what a node left', ['journal/000001.jsonl', 'logs/shop/web/1.log']],
    ['only the logs', ['logs/shop/web/1.log']],
    ['a journal, and notes beside it', ['journal/000001.jsonl', 'notes.txt']],
    ['what was moved aside', ['node.json', 'weir.sock.broken-20260102T030405Z']],
  ])('one with %s is taken and closed to others', async (_what, files) => {
    const directory = holding(files)
    await opening(directory, () => expect(fs.statSync(directory).mode & 0o777).toBe(0o700))
  })

  test('a file that is named is refused, not moved', async () => {
    const file = path.join(temporaryDirectory(), 'notes.txt')
    fs.writeFileSync(file, 'precious')
    await expect(opening(file, () => {})).rejects.toMatchObject({
      _tag: 'StateUnusable',
      path: file,
      reason: 'it is a file; name a directory',
    })
    expect(fs.readFileSync(file, 'utf8')).toBe('precious')
  })

  test('open to others is closed', async () => {
    const directory = temporaryDirectory()
    fs.chmodSync(directory, 0o755)
    await opening(directory, () => expect(fs.statSync(directory).mode & 0o777).toBe(0o700))
  })

  test.each([
    ['a file', (where: string) => fs.writeFileSync(where, 'precious')],
    ['a dangling link', (where: string) => fs.symlinkSync('/nowhere/at/all', where)],
  ])('%s in its place is moved aside', async (_name, make) => {
    const directory = path.join(temporaryDirectory(), '.weir')
    make(directory)
    const said = await opening(directory, (opened) => opened.said)
    expect(said[0]).toMatch(/^warn state: .* is no directory; moved it to .*\.weir\.broken-\d{8}T/)
    const moved = fs.readdirSync(path.dirname(directory)).find((name) => name.includes('.broken-'))
    expect(fs.lstatSync(path.join(path.dirname(directory), moved!)).isDirectory()).toBe(false)
  })

  test('garbage inside is moved aside and said, and the start goes on', async () => {
    const directory = temporaryDirectory()
    const garbage = {
      'node.json': '{"pid":',
      journal: 'x',
      logs: 'x',
      'weir.sock': 'x',
      socket: '\0',
    }
    for (const [name, text] of Object.entries(garbage)) {
      fs.writeFileSync(path.join(directory, name), text)
    }
    await opening(directory, ({ state, said }) => {
      expect(said.map((line) => line.match(/(\w+(\.\w+)?)\.broken-/)?.[1])).toEqual([
        'journal',
        'logs',
        'weir.sock',
        'node.json',
      ])
      expect(fs.statSync(state.journalDirectory).isDirectory()).toBe(true)
      expect(fs.existsSync(path.join(directory, 'weir.sock'))).toBe(false)
    })
  })

  test.each([
    ['node.json', 'weir.sock'],
    ['socket', 'node.json'],
  ])('directories under %s and %s do not stop it', async (...names) => {
    const directory = temporaryDirectory()
    for (const name of names) fs.mkdirSync(path.join(directory, name))
    await opening(directory, ({ state }) => expect(state.nodeId).toHaveLength(16))
  })

  test('a place where nothing can be made is an error that says why', async () => {
    await expect(opening('/proc/weir-state', () => {})).rejects.toMatchObject({
      _tag: 'StateUnusable',
      path: '/proc/weir-state',
      reason: expect.stringContaining('ENOENT'),
    })
    const file = path.join(temporaryDirectory(), 'file')
    fs.writeFileSync(file, '')
    await expect(opening(path.join(file, 'state'), () => {})).rejects.toMatchObject({
      _tag: 'StateUnusable',
      reason: expect.stringContaining('ENOTDIR'),
    })
  })
})

describe('one node for one state directory', () => {
  test('a second start is refused with the pid of the first', async () => {
    const directory = path.join(temporaryDirectory(), 'state')
    const { said, child } = await holder(directory)
    expect(said).toBe(`held ${nodeIdOf(directory)}`)
    await expect(opening(directory, () => {})).rejects.toMatchObject({
      _tag: 'AlreadyRunning',
      pid: child.pid,
      socket: path.join(directory, 'weir.sock'),
    })
    await kill(child)
  })

  test('also when the first has lost its directory', async () => {
    const directory = path.join(temporaryDirectory(), 'state')
    const { child } = await holder(directory)
    fs.rmSync(directory, { recursive: true })
    await expect(opening(directory, () => {})).rejects.toMatchObject({ pid: child.pid })
    await kill(child)
  })

  test('also in the same process', async () => {
    const directory = temporaryDirectory()
    await opening(directory, async () => {
      await expect(opening(directory, () => {})).rejects.toMatchObject({ pid: process.pid })
    })
    await opening(directory, () => {})
  })

  test('what a killed one left is cleared away', async () => {
    const directory = temporaryDirectory()
    const { child } = await holder(directory)
    await kill(child)
    expect(fs.readdirSync(directory)).toEqual(expect.arrayContaining(['node.json', 'weir.sock']))
    const said = await opening(directory, (opened) => opened.said)
    expect(said).toEqual([expect.stringContaining('removed the socket an earlier node left')])
  })

  test('of those that start at the same instant exactly one wins', async () => {
    const directory = path.join(temporaryDirectory(), 'state')
    const left = await holder(directory) // something stale to fight about
    await kill(left.child)
    const starts = await Promise.all(Array.from({ length: 4 }, () => holder(directory)))
    const winner = starts.filter(({ said }) => said.startsWith('held'))
    expect(winner).toHaveLength(1)
    const losers = starts.filter(({ said }) => !said.startsWith('held'))
    expect(losers.map(({ said }) => said)).toEqual(
      Array(3).fill(`refused AlreadyRunning ${winner[0]!.child.pid}`),
    )
    expect((await (await connect(directory)).version()).pid).toBe(winner[0]!.child.pid)
    for (const { child } of starts) await kill(child)
  })

  test('a start waits for one that is about to be gone', async () => {
    const directory = temporaryDirectory()
    let leave = () => {}
    let done = () => {}
    const first = opening(directory, async ({ state }) => {
      leave = () => state.leave()
      await new Promise<void>((resolve) => {
        done = resolve
      })
    })
    await expect(opening(directory, () => {})).rejects.toMatchObject({ _tag: 'AlreadyRunning' })
    leave()
    const second = opening(directory, () => 'in')
    setTimeout(() => done(), 100)
    await first
    expect(await second).toBe('in')
  })

  test('a node elsewhere that node.json names, still alive, is believed', async () => {
    const directory = temporaryDirectory()
    const child = spawn('sleep', ['60'])
    onTestFinished(() => void child.kill('SIGKILL'))
    const stat = fs.readFileSync(`/proc/${child.pid}/stat`, 'latin1')
    const startTime = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19])
    const write = (start: number) =>
      fs.writeFileSync(
        path.join(directory, 'node.json'),
        JSON.stringify({ pid: child.pid, startTime: start }),
      )
    write(startTime)
    await expect(opening(directory, () => {})).rejects.toMatchObject({ pid: child.pid })
    write(startTime - 1) // the pid, but of another process
    await opening(directory, () => {})
    await kill(child)
  })

  test('a socket that somebody else listens on is moved aside', async () => {
    const directory = temporaryDirectory()
    const server = net.createServer((socket) => socket.destroy())
    server.listen(path.join(directory, 'weir.sock'))
    await once(server, 'listening')
    const said = await opening(directory, (opened) => opened.said)
    expect(said).toEqual([expect.stringMatching(/weir\.sock is not ours; moved it to/)])
    server.close()
  })
})

describe('a path too long for a socket', () => {
  const long = () => path.join(temporaryDirectory(), 'x'.repeat(100), 'state')

  test('gets a short one, recorded where clients look', async () => {
    const directory = long()
    const { said, child } = await holder(directory)
    expect(said).toMatch(/^held/)
    const [place = ''] = socketPathsOf(directory)
    expect(place).toBe(
      path.join(os.tmpdir(), `weir-${os.userInfo().uid}`, `${nodeIdOf(directory)}.sock`),
    )
    expect(fs.statSync(path.dirname(place)).mode & 0o777).toBe(0o700)
    expect(fs.statSync(place).mode & 0o777).toBe(0o600)
    const client = await connect(directory)
    expect(client.socketPath).toBe(place)
    await expect(opening(directory, () => {})).rejects.toMatchObject({ pid: child.pid })
    await kill(child)
    await opening(directory, ({ state }) => {
      expect(state.socketPlaces).toEqual([place])
      expect(fs.existsSync(place)).toBe(false)
    })
  })

  test('a recorded place is used by clients, and forgotten when the usual one works again', async () => {
    const directory = temporaryDirectory()
    const elsewhere = path.join(temporaryDirectory(), 'other.sock')
    await opening(directory, ({ state }) => {
      state.recordSocket(elsewhere)
      expect(socketPathsOf(directory)[0]).toBe(elsewhere)
      expect(fs.readFileSync(path.join(directory, 'socket'), 'utf8')).toBe(`${elsewhere}\n`)
      state.recordSocket(path.join(directory, 'weir.sock'))
      expect(fs.existsSync(path.join(directory, 'socket'))).toBe(false)
    })
  })

  test('a file system without sockets: the short place is taken, and said', async () => {
    const directory = temporaryDirectory()
    const said: string[] = []
    await opening(directory, async ({ state }) => {
      fs.mkdirSync(path.join(directory, 'weir.sock')) // bind() fails, whatever the reason
      const program = Effect.scoped(
        Effect.gen(function* () {
          const server = yield* makeOperatorServer({
            socketPlaces: state.socketPlaces,
            version: () => ({
              name: 'weir',
              version: '',
              pid: 1,
              node: '',
              state: '',
              since: '',
            }),
            log: (_level, text) => said.push(text),
          })
          expect(server.socketPath).toBe(state.socketPlaces[1])
        }),
      )
      await Effect.runPromise(program)
    })
    expect(said).toEqual([expect.stringMatching(/^operator socket: at .*, because .*EADDRINUSE/)])
  })
})
