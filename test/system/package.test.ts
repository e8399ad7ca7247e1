/** What `npm pack` makes of a build, installed elsewhere as a consumer would. */
import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ROOMS } from '../../build.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const ENTRIES = [
  'weir',
  'weir/core',
  'weir/core/machine',
  ...Object.keys(ROOMS).map((room) => `weir/core/${room}`),
  'weir/shells/node',
  'weir/sim',
]

let home: string
const run = (file: string, ...args: string[]) =>
  promisify(execFile)(file, args, { cwd: home, maxBuffer: 16 * 1024 * 1024 })

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'weir-package-'))
  await promisify(execFile)(process.execPath, ['build.ts'], { cwd: ROOT })
  const packed = await promisify(execFile)(
    'npm',
    ['pack', '--json', '--ignore-scripts', '--pack-destination', home],
    { cwd: ROOT },
  )
  const [{ filename }] = JSON.parse(packed.stdout) as [{ filename: string }]
  await writeFile(join(home, 'package.json'), '{ "name": "consumer", "type": "module" }')
  await run('npm', 'install', '--no-audit', '--no-fund', '--prefer-offline', `./${filename}`)
})

afterAll(async () => {
  await rm(home, { recursive: true, force: true })
})

describe('an installed package', () => {
  test.each(ENTRIES)('%s can be imported', async (entry) => {
    const { stdout } = await run(
      process.execPath,
      '--input-type=module',
      '--eval',
      `console.log(Object.keys(await import('${entry}')).length)`,
    )
    expect(Number(stdout)).toBeGreaterThan(0)
  })

  test('has the command, which runs alone with plain node', async () => {
    const version = (
      JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { version: string }
    ).version
    const expected = `weir ${version} (node ${process.versions.node})\n`
    const installed = join(home, 'node_modules/.bin/weir')
    expect((await run(process.execPath, installed, 'version')).stdout).toBe(expected)
    expect((await stat(installed)).mode & 0o111).toBe(0o111)
    // one file: it needs nothing beside it
    const alone = join(home, 'alone')
    await mkdir(alone)
    await writeFile(join(alone, 'weir.mjs'), await readFile(installed))
    expect((await run(process.execPath, join(alone, 'weir.mjs'), 'version')).stdout).toBe(expected)
  })

  test('a class is one class through every entry point', async () => {
    const { stdout } = await run(
      process.execPath,
      '--input-type=module',
      '--eval',
      `import { InvariantError } from 'weir'
       import { DeadlineQueue } from 'weir/core/time'
       try { new DeadlineQueue().set('a', Number.NaN) } catch (error) {
         console.log(error instanceof InvariantError)
       }`,
    )
    expect(stdout).toBe('true\n')
  })

  test('has types, and the example of the library page runs on it', async () => {
    const page = await readFile(join(ROOT, 'docs/library.md'), 'utf8')
    const [, example] = /runs this block -->\n```ts\n(.*?)```/s.exec(page)!
    await writeFile(join(home, 'example.ts'), example!)
    // Were a declaration missing, its import would be `any`, and these errors would not be any.
    await writeFile(
      join(home, 'types.ts'),
      ENTRIES.map((entry, index) => `import * as entry${index} from '${entry}'\n`)
        .concat(
          ENTRIES.map(
            (_, index) => `// @ts-expect-error\nexport const wrong${index}: 1 = entry${index}\n`,
          ),
        )
        .concat(
          `import { type AddressKey, parseIp, addressKey } from 'weir/core/net'\n`,
          `import type { NodeCommand } from 'weir/core/node'\n`,
          `export const key: AddressKey = addressKey(parseIp('::1')!)\n`,
          `export const type: NodeCommand['type'] = 'create-replica'\n`,
          `// @ts-expect-error\nexport const other: NodeCommand['type'] = 'no such command'\n`,
        )
        .join(''),
    )
    await writeFile(
      join(home, 'tsconfig.json'),
      JSON.stringify({
        compilerOptions: {
          target: 'es2024',
          module: 'nodenext',
          strict: true,
          noEmit: true,
          skipLibCheck: true,
          typeRoots: [join(ROOT, 'node_modules/@types')],
          types: ['node'],
        },
        files: ['types.ts', 'example.ts'],
      }),
    )
    const checked = await run(join(ROOT, 'node_modules/.bin/tsc'), '-p', home).catch(
      (error: { stdout: string }) => error,
    )
    expect(checked.stdout).toBe('')
    const { stdout } = await run(process.execPath, 'example.ts')
    expect(stdout).toBe('healthy \nunhealthy fetch failed\n')
  })
})
