import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { weir } from './run-weir.ts'

const VERSION: string = JSON.parse(
  readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'),
).version

describe('version', () => {
  test('for people', async () => {
    const out = `weir ${VERSION} (node ${process.versions.node})\n`
    expect(await weir(['version'])).toEqual({ code: 0, out, err: '' })
    expect(await weir(['--version'])).toEqual({ code: 0, out: `${VERSION}\n`, err: '' })
  })

  test('for programs', async () => {
    const { code, out } = await weir(['version', '--json'])
    expect([code, JSON.parse(out)]).toEqual([0, { weir: VERSION, node: process.versions.node }])
  })
})

test('a wrong call ends with exit code 2, a command that fails with 1', async () => {
  const wrong = { code: 2, out: '', err: "weir: unknown command 'lgos' (Did you mean logs?)\n" }
  expect(await weir(['lgos'])).toEqual(wrong)
  const { code, out, err } = await weir(['ps', '--state', '/nowhere'])
  expect([code, out, err.split(':')[0]]).toEqual([1, '', 'weir'])
})

describe('a fast start', () => {
  const calls: readonly [string[], number][] = [
    [['version'], 0],
    [['ps', '--help'], 0],
    [['completion', 'bash'], 0],
    [['ps', '--state', '/nowhere'], 1], // as far as it gets without a node
  ]
  for (const [words, exitCode] of calls) {
    test(`weir ${words.join(' ')} loads commander and no other package`, async () => {
      const hooks = `import { registerHooks } from 'node:module'
        registerHooks({ resolve(name, context, next) {
          const found = next(name, context)
          const owner = /node_modules\\/([^/]+)/.exec(found.url)
          if (owner) process.stderr.write(owner[1] + '\\n')
          return found
        } })`
      const preload = `data:text/javascript,${encodeURIComponent(hooks)}`
      const { code, err } = await weir(words, { node: ['--import', preload] })
      const loaded = err.split('\n').filter((line) => /^[@\w-]+$/.test(line))
      expect([code, [...new Set(loaded)]]).toEqual([exitCode, ['commander']])
    })
  }
})
