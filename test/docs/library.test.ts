import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { ROOMS } from '../../build.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

test('the example of the library page runs and prints what the page says', async () => {
  const page = await readFile(join(ROOT, 'docs/library.md'), 'utf8')
  const [, example] = /runs this block -->\n```ts\n(.*?)```/s.exec(page)!
  const directory = await mkdtemp(join(tmpdir(), 'weir-docs-'))
  try {
    // From the sources: a package in front of the built one, whose rooms lead to them.
    const room = join(directory, 'services.ts')
    const files = Object.keys(ROOMS.services!)
    const urls = files.map((file) => pathToFileURL(join(ROOT, `core/services/${file}.ts`)))
    await writeFile(room, urls.map((url) => `export * from '${url}'\n`).join(''))
    const program = join(directory, 'example.ts')
    await writeFile(program, example!.replace("'weir/core/services'", "'./services.ts'"))
    const { stdout } = await promisify(execFile)(process.execPath, [program])
    expect(stdout).toBe('healthy \nunhealthy fetch failed\n')
  } finally {
    await rm(directory, { recursive: true })
  }
})

test('every entry point of the page exists, and every room is on the page', async () => {
  const page = await readFile(join(ROOT, 'docs/library.md'), 'utf8')
  const named = [...page.matchAll(/^\| `weir\/core\/(\w+)` \|/gm)].map(([, room]) => room)
  expect(named.toSorted()).toEqual(['machine', ...Object.keys(ROOMS)].toSorted())
})
