import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import * as esbuild from 'esbuild'
import { expect, test } from 'vitest'
import { ROOMS } from '../build.ts'

const CORE = fileURLToPath(new URL('../core', import.meta.url))

test('every room of the core has an entry point, and every file it names exists', () => {
  const folders = readdirSync(CORE, { withFileTypes: true }).filter((each) => each.isDirectory())
  expect(Object.keys(ROOMS)).toEqual(folders.map((each) => each.name).toSorted())
  const missing = Object.entries(ROOMS)
    .flatMap(([room, files]) => Object.keys(files).map((file) => `${CORE}/${room}/${file}.ts`))
    .filter((file) => !existsSync(file))
  expect(missing).toEqual([])
})

test.each([
  // What a consumer pays for a room that promises to bring no package, with room to grow.
  ['acme', 10],
  ['balance', 14],
  // The whole of it; who reads heads alone gets a fifth.
  ['http', 80],
  ['net', 8],
  ['policy', 8],
  ['publish', 28],
  ['stream', 36], // network policies, waiting for a backend, and use
  ['time', 4],
])('weir/core/%s is at most %i KB minified, and stands alone', async (room, kilobytesMax) => {
  const files = Object.keys(ROOMS[room]!)
  const { outputFiles, metafile } = await esbuild.build({
    stdin: {
      contents: files.map((file) => `export * from './${file}.ts'\n`).join(''),
      resolveDir: `${CORE}/${room}`,
      loader: 'ts',
    },
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'neutral', // an import of Node or of a package fails the build
    write: false,
    metafile: true,
  })
  const outside = Object.keys(metafile.inputs).filter((path) => path.includes('node_modules'))
  expect(outside).toEqual([])
  expect(outputFiles[0]!.contents.byteLength / 1024).toBeLessThanOrEqual(kilobytesMax)
})

test('the lock file names every package, and no registry', () => {
  const text = readFileSync(new URL('../package-lock.json', import.meta.url), 'utf8')
  const { packages } = JSON.parse(text) as {
    packages: Record<string, { resolved?: string; optionalDependencies?: Record<string, string> }>
  }
  // `npm ci` refuses a lock file that misses a platform's binary, also on the other platforms.
  const missing = Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies).filter(
      (name) => !(`node_modules/${name}` in packages || `${path}/node_modules/${name}` in packages),
    ),
  )
  expect(missing).toEqual([])
  expect(Object.keys(packages).filter((path) => packages[path]?.resolved !== undefined)).toEqual([])
})
