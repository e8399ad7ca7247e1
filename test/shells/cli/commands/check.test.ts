import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { defaultNodeSettings } from '../../../../core/spec/node/settings.ts'
import { nodeSettings } from '../../../../shells/cli/commands/check.ts'
import { placedProblem } from '../../../../shells/cli/commands/problems.ts'
import { outcomeOf, startWeir, weir } from '../run-weir.ts'

const GOOD = `version: v1
deployment: hello
services:
  web:
    rtype: service
    command: [node, server.mjs]
    endpoints:
      - { name: http, protocol: http, port: 8080 }
  db:
    rtype: service
    command: redis-server --port 6379
`

const MISTAKES = `version: v1
deployment: hello
serivces: {}
services:
  web:
    rtype: servce
    command: [node, server.mjs]
    scale: { mode: fixed, replicas: many }
    endpoints:
      - { name: http, protocol: htp, port: 80800 }
    health: { interval: soon, check: { type: http, url: "not a url" } }
    depends:
      - { service: dbb, condition: healthy }
`

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'weir-check-'))
  writeFileSync(join(directory, 'weir.yaml'), GOOD)
  writeFileSync(join(directory, 'bad.yaml'), MISTAKES)
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

describe('weir check', () => {
  test('a good file, by its default name', async () => {
    expect(await weir(['check'], { cwd: directory })).toEqual({
      code: 0,
      out: 'weir.yaml: ok, deployment hello with 2 services\n',
      err: '',
    })
  })

  test('a good file, for programs', async () => {
    const { code, out } = await weir(['check', '--json'], { cwd: directory })
    const answer = { ok: true, deployment: 'hello', services: ['db', 'web'], warnings: [] }
    expect([code, JSON.parse(out)]).toEqual([0, answer])
  })

  test('every mistake has its place, one a line', async () => {
    const { code, out, err } = await weir(['check', 'bad.yaml'], { cwd: directory })
    expect([code, out]).toEqual([1, ''])
    const found = err.trimEnd().split('\n')
    for (const line of found) expect(line).toMatch(/^bad\.yaml:\d+:\d+: \S/)
    const places = found.map((line) => line.split(':')[1])
    for (const line of ['3', '6', '8', '10', '11', '13']) expect(places).toContain(line)
    expect(found.length).toBeGreaterThanOrEqual(8)
  })

  test('mistakes, for programs', async () => {
    const { code, out, err } = await weir(['check', 'bad.yaml', '--json'], { cwd: directory })
    const answer = JSON.parse(out)
    expect([code, err, answer.ok]).toEqual([1, '', false])
    expect(answer.problems[0]).toEqual({
      file: 'bad.yaml',
      line: expect.any(Number),
      column: expect.any(Number),
      message: expect.any(String),
    })
  })

  test('- is standard input', async () => {
    const child = startWeir(['check', '-'], { cwd: directory })
    const ended = outcomeOf(child)
    child.stdin.end(GOOD.replace('hello', 'hello ['))
    expect(await ended).toMatchObject({ code: 1, err: expect.stringMatching(/^-:\d+:\d+: /) })
  })

  test('text that is not YAML has a place, too', async () => {
    writeFileSync(join(directory, 'bad.yaml'), 'version: [v1\n')
    const { code, err } = await weir(['check', 'bad.yaml'], { cwd: directory })
    expect([code, err]).toEqual([1, expect.stringMatching(/^bad\.yaml:\d+:\d+: /)])
  })
})

describe('weir check with a node file', () => {
  const check = (...words: string[]) => weir(['check', ...words], { cwd: directory })
  const TLS = GOOD.replace(
    'protocol: http, port: 8080',
    'protocol: tcp, port: 8443, stream: { tls: terminate }',
  )
  beforeEach(() => {
    writeFileSync(join(directory, 'node.yaml'), 'drain_timeout: 10s\n')
    writeFileSync(join(directory, 'tls.yaml'), TLS)
  })

  test('both are good', async () => {
    expect(await check('--node', 'node.yaml')).toEqual({
      code: 0,
      out: 'weir.yaml: ok, deployment hello with 2 services; node.yaml: ok\n',
      err: '',
    })
  })

  test('mistakes of both have their places', async () => {
    writeFileSync(join(directory, 'node.yaml'), 'drain_timeout: soon\nportz: {}\n')
    const { code, out, err } = await check('bad.yaml', '--node', 'node.yaml')
    expect([code, out]).toEqual([1, ''])
    const lines = err.trimEnd().split('\n')
    expect(lines.slice(0, 3)).toEqual([
      expect.stringMatching(/^node\.yaml:1:\d+: \S/),
      expect.stringMatching(/^node\.yaml:2:\d+: \S/),
      expect.stringMatching(/^bad\.yaml:3:\d+: \S/),
    ])
  })

  test('mistakes, for programs', async () => {
    writeFileSync(join(directory, 'node.yaml'), 'drain_timeout: soon\n')
    const { code, out } = await check('--node', 'node.yaml', '--json')
    const place = { file: 'node.yaml', line: 1, column: expect.any(Number) }
    expect([code, JSON.parse(out)]).toEqual([
      1,
      { ok: false, problems: [{ ...place, message: expect.any(String) }] },
    ])
  })

  test('a deployment with TLS needs certificates, which only a node file can tell', async () => {
    expect((await check('tls.yaml')).code).toBe(0)
    const lacking = await check('tls.yaml', '--node', 'node.yaml')
    expect([lacking.code, lacking.err]).toEqual([
      1,
      expect.stringMatching(/^tls\.yaml:8:\d+: .*certificates/),
    ])
    writeFileSync(join(directory, 'node.yaml'), 'certificates: tls\n')
    mkdirSync(join(directory, 'tls'))
    for (const ending of ['crt', 'key']) writeFileSync(join(directory, `tls/default.${ending}`), '')
    expect(await check('tls.yaml', '--node', 'node.yaml')).toMatchObject({ code: 0, err: '' })
    rmSync(join(directory, 'tls/default.key'))
    const bare = await check('tls.yaml', '--node', 'node.yaml')
    expect([bare.code, bare.err]).toEqual([
      0,
      expect.stringMatching(/^warning: tls\.yaml:8:\d+: endpoint http of service web has no host /),
    ])
  })

  test('what `up` would refuse for what is on this machine', async () => {
    const node = join(directory, 'node.yaml')
    const ran = async (text: string) => {
      writeFileSync(node, text)
      const { code, err } = await check('tls.yaml', '--node', 'node.yaml')
      return [code, err]
    }
    const missing = `certificates cannot be read: ${join(directory, 'tls')}: it is not there`
    expect(await ran('certificates: tls\n')).toEqual([1, `node.yaml:1:15: ${missing}\n`])
    const file = `certificates cannot be read: ${node}: it is not a directory`
    expect(await ran('certificates: node.yaml\n')).toEqual([1, `node.yaml:1:15: ${file}\n`])
    mkdirSync(join(directory, 'tls'))
    const taken = `tcp port 8443 is the node's own, for metrics ([::1]:8443 in the node file)`
    expect(await ran('certificates: tls\nmetrics: "[::1]:8443"\n')).toEqual([
      1,
      expect.stringMatching(/^tls\.yaml:8:\d+: /),
    ])
    expect((await ran('certificates: tls\nmetrics: "[::1]:8443"\n'))[1]).toContain(taken)
    const ca = TLS.replace('terminate', 'reoriginate, backend_ca: no.pem')
    writeFileSync(join(directory, 'tls.yaml'), ca)
    const unread = `backend_ca cannot be read: ${join(directory, 'no.pem')}: no such file`
    expect((await ran('certificates: tls\n'))[1]).toMatch(/^tls\.yaml:8:\d+: backend_ca cannot/)
    expect((await ran('certificates: tls\n'))[1]).toContain(unread)
  })

  test('a node file that is not there, or that cannot be, is a wrong call', async () => {
    expect(await check('--node', 'nowhere.yaml')).toEqual({
      code: 2,
      out: '',
      err: 'weir: there is no file nowhere.yaml: name the node file, or create it\n',
    })
    expect(await check('--node', '.')).toMatchObject({
      code: 2,
      err: 'weir: . is a directory: name the node file\n',
    })
    expect(await check('-', '--node', '-')).toMatchObject({
      code: 2,
      err: 'weir: standard input is one file: name the deployment file, or the node file\n',
    })
  })
})

test('paths of a node file count from its directory', () => {
  const file = join(directory, 'node.yaml')
  writeFileSync(file, 'certificates: tls\n')
  mkdirSync(join(directory, 'tls'))
  expect(nodeSettings(file, 'weir.yaml')).toMatchObject({
    settings: { certificates: join(directory, 'tls') },
  })
  writeFileSync(file, 'certificates: /\n')
  expect(nodeSettings(file, 'weir.yaml')).toMatchObject({ settings: { certificates: '/' } })
  expect(nodeSettings(undefined, 'weir.yaml')).toMatchObject({ settings: defaultNodeSettings })
})

test('weir schema --node prints that of node files', async () => {
  const { code, out, err } = await weir(['schema', '--node'])
  expect([code, err]).toEqual([0, ''])
  const schema = JSON.parse(out)
  expect(schema).toMatchObject({ $schema: expect.stringContaining('json-schema.org') })
  expect(JSON.stringify(schema)).toContain('"drain_timeout"')
})

test('weir schema prints a JSON Schema', async () => {
  const { code, out, err } = await weir(['schema'])
  expect([code, err]).toEqual([0, ''])
  expect(JSON.parse(out)).toMatchObject({ $schema: expect.stringContaining('json-schema.org') })
})

describe('a problem taken apart', () => {
  const rows: readonly [string, string, object][] = [
    ['a.yaml:3:1: no', 'a.yaml', { file: 'a.yaml', line: 3, column: 1, message: 'no' }],
    [
      'C:1:a.yaml:3:1: x: y',
      'C:1:a.yaml',
      { file: 'C:1:a.yaml', line: 3, column: 1, message: 'x: y' },
    ],
    ['without a place', 'a.yaml', { file: 'a.yaml', message: 'without a place' }],
  ]
  for (const [text, file, parts] of rows) {
    test(text, () => expect(placedProblem(text, file)).toEqual(parts))
  }
})
