import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { harmless, printerOf } from '../../../../shells/cli/commands/logs.ts'
import { formatLine } from '../../../../shells/node/log/lines.ts'
import type { LogLine } from '../../../../shells/node/log/store.ts'
import { callWeir } from '../call-weir.ts'
import { type FakeNode, fakeNode, lines } from '../fake-node.ts'
import { outcomeOf, type Ran, startWeir, weir } from '../run-weir.ts'
import { replica, SAMPLE_VIEW, service } from '../sample-view.ts'

const line = (name: string, number: number, text: string): LogLine => ({
  at: '2026-01-01T00:00:00.000Z',
  deployment: 'hello',
  service: name,
  replica: number,
  stream: 'out',
  text,
})

describe('a line of a log', () => {
  const piped = { colour: false, interactive: false }

  test('has its replica before it, padded to the longest name', () => {
    const view = { ...SAMPLE_VIEW, replicas: [replica('web', 1), replica('backend', 10)] }
    const print = printerOf(view, piped)
    expect(print(line('web', 1, 'hello'))).toBe('web-1      | hello')
    expect(print(line('backend', 10, 'hello'))).toBe('backend-10 | hello')
  })

  test('names the deployment where the service name does not tell', () => {
    const services = [service('web'), service('web', { deployment: 'shop' })]
    const print = printerOf({ ...SAMPLE_VIEW, services, replicas: [] }, piped)
    expect(print(line('web', 1, 'hello'))).toBe('hello/web-1 | hello')
  })

  test('can have its time', () => {
    const print = printerOf({ ...SAMPLE_VIEW, replicas: [] }, piped, { timestamps: true })
    expect(print(line('web', 1, 'x'))).toBe('2026-01-01T00:00:00.000Z web-1 | x')
  })

  test('each replica keeps its own colour', () => {
    const print = printerOf({ ...SAMPLE_VIEW, replicas: [] }, { colour: true, interactive: true })
    expect([
      print(line('web', 1, 'a')),
      print(line('web', 2, 'b')),
      print(line('web', 1, 'c')),
    ]).toEqual([
      '\x1b[36mweb-1 |\x1b[39m a',
      '\x1b[33mweb-2 |\x1b[39m b',
      '\x1b[36mweb-1 |\x1b[39m c',
    ])
  })

  test('in a pipe it is what the program wrote', () => {
    const print = printerOf({ ...SAMPLE_VIEW, replicas: [] }, piped)
    expect(print(line('web', 1, '\x1b[2J\x1b[31mred'))).toBe('web-1 | \x1b[2J\x1b[31mred')
  })
})

describe('what a terminal is shown of a program', () => {
  const rows: readonly [what: string, text: string, shown: string][] = [
    ['plain text', 'GET / 200', 'GET / 200'],
    ['colour, which ends with the line', '\x1b[1;31mred', '\x1b[1;31mred\x1b[0m'],
    ['a cleared screen', 'a\x1b[2J\x1b[Hb', 'ab'],
    ['a window title', '\x1b]0;owned\x07text', 'text'],
    ['a string that never ends', 'a\x1b]52;c;secret', 'a'],
    ['a question to the terminal', '\x1b[6n\x1bc', ''],
    ['a private sequence that looks like colour', '\x1b[>4;2m', ''],
    ['an eight-bit control sequence', '\x9b2Jx', 'x'],
    ['a progress bar that goes back', '10%\r20%', '10%20%'],
    ['tabs', 'a\tb', 'a\tb'],
  ]
  for (const [what, text, shown] of rows) test(what, () => expect(harmless(text)).toBe(shown))

  test('whatever comes, only tabs and colours are left of the control characters', () => {
    const text = fc.string({
      unit: fc.oneof(
        fc.constantFrom('\x1b', '[', ']', ';', '3', 'm', 'J', '\x07', '\x9b', '?', ' '),
        fc.string({ unit: 'binary', maxLength: 1 }),
      ),
    })
    fc.assert(
      fc.property(text, (each) => {
        const bare = harmless(each).replaceAll(COLOUR, '')
        expect(bare.replaceAll('\t', '')).not.toMatch(/\p{Cc}/u)
      }),
      { numRuns: 1_000 },
    )
  })
})

describe('weir logs', () => {
  let directory: string
  let node: FakeNode
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'weir-logs-'))
  })
  afterEach(async () => {
    await node.close()
    rmSync(directory, { recursive: true, force: true })
  })
  const serve = async (answer: Parameters<typeof fakeNode>[1][string]) => {
    node = await fakeNode(join(directory, '.weir'), {
      'GET /v1/status': { json: SAMPLE_VIEW },
      'GET /v1/logs': answer,
    })
  }
  const asked = () => node.requests.find(({ path }) => path === '/v1/logs')?.query

  test('asks for one service and one replica', async () => {
    await serve(lines(line('web', 2, 'one'), line('web', 2, 'two')))
    const words = ['logs', 'web', '--replica', '2', '--tail', '7']
    expect(await weir(words, { cwd: directory })).toEqual({
      code: 0,
      out: 'web-2 | one\nweb-2 | two\n',
      err: '',
    })
    expect(asked()).toEqual({ service: 'web', replica: '2', tail: '7', follow: 'false' })
  })

  test('--json prints the lines as they come', async () => {
    await serve(lines(line('web', 1, 'one')))
    const { out } = await weir(['logs', '--json'], { cwd: directory })
    expect(JSON.parse(out)).toEqual(line('web', 1, 'one'))
    expect(asked()).toEqual({ tail: '100', follow: 'false' })
  })

  test('says on standard error what it missed', async () => {
    await serve(lines({ type: 'dropped', count: 12 }, line('web', 1, 'one')))
    expect(await weir(['logs'], { cwd: directory })).toEqual({
      code: 0,
      out: 'web-1 | one\n',
      err: 'weir: 12 lines dropped: they were not read in time\n',
    })
  })

  test('--follow goes on until Ctrl-C, which is a good end', async () => {
    await serve((response) => {
      response.writeHead(200)
      response.write(`${JSON.stringify(line('web', 1, 'first'))}\n`)
    })
    const child = startWeir(['logs', '--follow'], { cwd: directory })
    const ended = outcomeOf(child)
    await once(child.stdout, 'data')
    child.kill('SIGINT')
    expect(await ended).toEqual({ code: 0, out: 'web-1 | first\n', err: '' })
  })

  test('--follow ends when its reader has seen enough', async () => {
    let timer: NodeJS.Timeout | undefined
    await serve((response) => {
      response.writeHead(200)
      timer = setInterval(() => response.write(`${JSON.stringify(line('web', 1, 'again'))}\n`), 5)
    })
    const child = startWeir(['logs', '--follow'], { cwd: directory })
    const ended = once(child, 'exit')
    await once(child.stdout, 'data')
    child.stdout.destroy()
    expect(await ended).toEqual([0, null])
    clearInterval(timer)
  })
})

describe('logs of a node that has ended', () => {
  const record = (text: string) => formatLine({ ...line('web', 1, text), stream: 'out' })
  let state: string
  beforeEach(() => {
    state = mkdtempSync(join(tmpdir(), 'weir-left-'))
    const service = join(state, 'logs', 'hello', 'web')
    mkdirSync(service, { recursive: true })
    writeFileSync(join(service, '1.log'), record('one') + record('two'))
  })
  afterEach(() => rmSync(state, { recursive: true, force: true }))

  const left = 'weir: no node runs; this is what the last one left\n'
  const rows: readonly [string[], Ran][] = [
    [[], { code: 0, out: 'web-1 | one\nweb-1 | two\n', err: left }],
    [['hello/web', '--tail', '1'], { code: 0, out: 'web-1 | two\n', err: left }],
    [['wbe'], { code: 1, out: '', err: 'weir: no service "wbe" here, and no log of it\n' }],
    [
      ['web', '--replica', '7'],
      { code: 1, out: '', err: 'weir: no replica 7 of "web" here, and no log of it\n' },
    ],
  ]
  for (const [words, ran] of rows) {
    test(['logs', ...words].join(' '), async () => {
      expect(await callWeir(['logs', ...words, '--state', state])).toEqual(ran)
    })
  }

  test('new lines cannot be followed, and no logs are no logs', async () => {
    const refused = { code: 1, out: '', err: expect.stringContaining('no node runs on') }
    expect(await callWeir(['logs', '-f', '--state', state])).toEqual(refused)
    rmSync(join(state, 'logs'), { recursive: true })
    expect(await callWeir(['logs', '--state', state])).toEqual(refused)
  })
})

const COLOUR = new RegExp(`${'\x1b'}\\[[0-9;:]*m`, 'g')
