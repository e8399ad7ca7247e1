import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { ROOMS } from '../../../build.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))

test('the example of the page runs and prints what its comments say', async () => {
  const page = await readFile(join(ROOT, 'docs/balance.md'), 'utf8')
  const [, example = ''] = /runs this block -->\n```ts\n(.*?)```/s.exec(page) ?? []
  const directory = await mkdtemp(join(tmpdir(), 'weir-docs-'))
  try {
    const room = Object.entries(ROOMS.balance!).map(([file, names]) => {
      const url = pathToFileURL(join(ROOT, `core/balance/${file}.ts`))
      return `export ${names} from '${url}'\n`
    })
    await writeFile(join(directory, 'balance.ts'), room.join(''))
    const program = join(directory, 'example.ts')
    await writeFile(program, example.replace("'weir/core/balance'", "'./balance.ts'"))
    const { stdout } = await promisify(execFile)(process.execPath, [program])
    const said = [...example.matchAll(/console\.log\(.*\/\/ (.*)$/gm)].map(([, text]) => text)
    expect(said).toHaveLength(3)
    expect(stdout.trim().split('\n')).toEqual(said)
  } finally {
    await rm(directory, { recursive: true })
  }
})
