import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type FakeNode, fakeNode } from './fake-node.ts'
import { environment, MAIN, outcomeOf, weir } from './run-weir.ts'
import { SAMPLE_VIEW, service } from './sample-view.ts'

const SHELLS = ['bash', 'zsh', 'fish'] as const
const isInstalled = (shell: string): boolean => spawnSync(shell, ['--version']).error === undefined

let directory: string
let node: FakeNode
const scripts: Record<string, string> = {}

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'weir-completion-'))
  const services = [...SAMPLE_VIEW.services, service('web', { deployment: 'shop' })]
  node = await fakeNode(join(directory, '.weir'), {
    'GET /v1/status': {
      json: { ...SAMPLE_VIEW, services: [...services, service('$(touch hacked)')] },
    },
  })
  for (const shell of SHELLS) {
    scripts[shell] = join(directory, `completion.${shell}`)
    const { out } = await weir(['completion', shell])
    writeFileSync(scripts[shell], out)
  }
  mkdirSync(join(directory, 'bin'))
  const command = join(directory, 'bin', 'weir')
  writeFileSync(command, `#!/bin/sh\nexec "${process.execPath}" "${MAIN}" "$@"\n`)
  chmodSync(command, 0o755)
  for (const name of ['shop.yaml', 'two words.yml', 'notes.txt']) {
    writeFileSync(join(directory, name), '')
  }
  mkdirSync(join(directory, 'sub'))
})
afterAll(async () => {
  await node.close()
  rmSync(directory, { recursive: true, force: true })
})

const PATH = () => `${join(directory, 'bin')}:${process.env.PATH}`

describe('the scripts are well formed', () => {
  for (const shell of SHELLS) {
    test.skipIf(!isInstalled(shell))(`${shell} (skipped where it is not installed)`, () => {
      expect(execFileSync(shell, ['-n', scripts[shell]!], { encoding: 'utf8' })).toBe('')
    })
  }
})

describe('names for the scripts', () => {
  test('services by their short name where that is enough, and never what a shell would run', async () => {
    expect(await weir(['__complete', 'services'], { cwd: directory })).toEqual({
      code: 0,
      out: 'db\nhello/web\nshop/web\n',
      err: '',
    })
  })

  test('deployments', async () => {
    const { out } = await weir(['__complete', 'deployments'], { cwd: directory })
    expect(out).toBe('hello\n')
  })

  test('no node, no names, no complaint', async () => {
    const words = ['__complete', 'services', '--state', join(directory, 'none')]
    expect(await weir(words)).toEqual({ code: 0, out: '', err: '' })
  })
})

/** What bash offers for the last word. */
async function bash(...words: string[]): Promise<string[]> {
  const script =
    'source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _weir; printf "%s\\n" "${COMPREPLY[@]}"'
  const child = spawn('bash', ['-c', script, scripts.bash!, 'weir', ...words], {
    cwd: directory,
    env: environment({ PATH: PATH() }),
  })
  const { out } = await outcomeOf(child)
  return out
    .split('\n')
    .filter((each) => each !== '')
    .sort()
}

describe('bash', () => {
  const rows: readonly [words: string[], offered: string[]][] = [
    [['s'], ['scale', 'schema', 'sim', 'status']],
    [
      ['completion', ''],
      ['bash', 'fish', 'zsh'],
    ],
    [['help', 'lo'], ['logs']],
    [
      ['down', '--'],
      ['--help', '--json', '--now', '--state'],
    ],
    [['--'], ['--help', '--version']],
    [
      ['scale', ''],
      ['db', 'hello/web', 'shop/web'],
    ],
    [['scale', 'sh'], ['shop/web']],
    [['scale', '--json', 'd'], ['db']],
    [['scale', 'web', ''], []],
    [['logs', '--tail', ''], []],
    [['logs', '--tail', '5', 'h'], ['hello/web']],
    [['remove', ''], ['hello']],
    [
      ['check', ''],
      ['bin', 'shop.yaml', 'sub', 'two words.yml'],
    ],
    [
      ['up', 's'],
      ['shop.yaml', 'sub'],
    ],
    [['up', '--state', 's'], ['sub']],
    [['up', '--state', '=', 's'], ['sub']],
    [
      ['up', 'shop.yaml', '--node', 's'],
      ['shop.yaml', 'sub'],
    ],
    [
      ['check', '--node', 's'],
      ['shop.yaml', 'sub'],
    ],
    [
      ['check', '--node', 'node.yaml', 's'],
      ['shop.yaml', 'sub'],
    ],
    [['schema', '--n'], ['--node']],
    [['schema', '--node', ''], []],
    [['replay', 'n'], ['notes.txt']],
    [['version', ''], []],
    [['scale', '--state', 'nowhere', ''], []],
  ]
  for (const [words, offered] of rows) {
    test(`weir ${words.join(' ')}<Tab>`, async () => {
      const found = await bash(...words)
      expect(found.filter((name) => !/^(?:completion\.|\.weir)/.test(name))).toEqual(offered)
    })
  }

  test('nothing in a name is run', async () => {
    expect(await bash('logs', '')).toEqual(['db', 'hello/web', 'shop/web'])
    expect(await bash('check', 'h')).toEqual([])
  })
})

test('zsh is told of the same', async () => {
  const { out } = await weir(['completion', 'zsh'])
  const offered = out.split('\n').filter((line) => line.includes("'--node["))
  expect(offered.map((line) => /:FILE:_files/.test(line))).toEqual([true, true, false])
})

describe.skipIf(!isInstalled('fish'))('fish (skipped where it is not installed)', () => {
  const rows: readonly [line: string, offered: string[]][] = [
    ['weir sc', ['scale', 'schema']],
    ['weir scale ', ['db', 'hello/web', 'shop/web']],
    ['weir scale web ', []],
    ['weir down --n', ['--now']],
    ['weir up --node sho', ['shop.yaml']],
    ['weir schema --n', ['--node']],
    ['weir completion ', ['bash', 'fish', 'zsh']],
  ]
  for (const [line, offered] of rows) {
    test(`${line}<Tab>`, async () => {
      const script = `source $argv[1]; complete -C ${JSON.stringify(line)}`
      const child = spawn('fish', ['-c', script, scripts.fish!], {
        cwd: directory,
        env: environment({ PATH: PATH() }),
      })
      const { out } = await outcomeOf(child)
      const names = out.split('\n').map((each) => each.split('\t')[0]!)
      expect(names.filter((name) => name !== '').sort()).toEqual(offered)
    })
  }
})
