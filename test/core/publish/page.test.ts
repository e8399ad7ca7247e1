import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { ROOMS } from '../../../build.ts'
import { LEGAL } from '../../../core/publish/ports/state.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const PAGE = readFileSync(join(ROOT, 'docs/publish.md'), 'utf8')

test('the page lists exactly the legal edges of a socket', () => {
  const listed = [...PAGE.matchAll(/^\| `([a-z]+)` \| `([a-z]+)` \|/gm)].map(
    ([, from, to]) => `${from} ${to}`,
  )
  const legal = Object.entries(LEGAL).flatMap(([from, next]) => next.map((to) => `${from} ${to}`))
  expect(listed.toSorted()).toEqual(legal.toSorted())
})

test('the example of the page runs and prints what its comments say', async () => {
  const [, example = ''] = /runs this block -->\n```ts\n(.*?)```/s.exec(PAGE) ?? []
  const directory = await mkdtemp(join(tmpdir(), 'weir-docs-'))
  try {
    const room = Object.entries(ROOMS.publish!).map(([file, names]) => {
      const url = pathToFileURL(join(ROOT, `core/publish/${file}.ts`))
      return `export ${names} from '${url}'\n`
    })
    await writeFile(join(directory, 'publish.ts'), room.join(''))
    const program = join(directory, 'example.ts')
    await writeFile(program, example.replace("'weir/core/publish'", "'./publish.ts'"))
    const { stdout } = await promisify(execFile)(process.execPath, [program])
    const said = [...example.matchAll(/\/\/ (.*)$/gm)].map(([, text]) => text)
    expect(said).toHaveLength(2)
    expect(stdout.trim().split('\n')).toEqual(said)
  } finally {
    await rm(directory, { recursive: true })
  }
})
