/**
 * `npm run build`: the command as one file, one entry point per core room, declarations.
 *
 *   dist/weir.mjs          the command, everything bundled, runs with plain `node`
 *   dist/udp-worker.mjs    what the command and the Node shell run UDP in, where koffi is installed
 *   dist/acme-client.mjs   what the command speaks ACME with, read when it first does
 *   dist/index.js          the core: the contract, and each room under its name
 *   dist/core/ROOM.js      one room; it imports other rooms' files
 *   dist/shells/node.js    the Node shell
 *   dist/sim.js            the simulator
 *   dist/**.d.ts           their types
 *   dist/weir.licenses.txt the licences of the packages inside the command
 */
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, posix, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import * as esbuild from 'esbuild'

const ROOT = dirname(fileURLToPath(import.meta.url))
const DIST = join(ROOT, 'dist')

/**
 * The public part of each core room: file to the names it gives away. The rest of a room is for
 * its own files, the shells and the tests. A folder of `core/` missing here fails a test.
 */
export const ROOMS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  acme: {
    planner: '{ AcmePlanner, defaultAcmeConfig, type AcmeConfig, type AcmeCounters }',
    events: '*',
    commands: '*',
    causes: '*',
    invariants: '*',
  },
  balance: {
    group: '*',
    facts: '*',
    strategy: '*',
    strategies: '*',
    'round-robin': '{ RoundRobin }',
    'least-connections': '*',
    'power-of-two': '*',
    'affinity/hrw': '*',
    'affinity/maglev': '{ Maglev, type MaglevOptions }',
    'affinity/hash': '*',
    hysteresis: '*',
    invariants: '*',
  },
  http: {
    'ingress/ingress': '*',
    events: '*',
    commands: '*',
    config: '*',
    'ingress/counters': '*',
    'ingress/invariants': '*',
    'routes/table': '*',
    'head/request': '*',
    'head/response': '*',
    'head/fields': '*',
    'head/latin1': '*',
    'framing/chunked': '*',
  },
  journal: { digest: '*', 'canonical-json': '*' },
  net: {
    address: '*',
    cidr: '*',
    'packed-address': '*',
    'proxy-v1': '*',
    'proxy-v2': '*',
  },
  node: {
    node: '*',
    events: '*',
    commands: '*',
    view: '*',
    snapshot: '{ type NodeSnapshot }',
    invariants: '*',
  },
  policy: { access: '*', policy: '*' },
  publish: {
    ledger: '*',
    claim: '*',
    events: '*',
    commands: '*',
    view: '*',
    bindings: '*',
    'host/replica-ports': '*',
    snapshot: '{ type LedgerSnapshot }',
    invariants: '*',
  },
  services: { identity: '*', health: '*', planner: '*', backoff: '*', 'replica-life': '*' },
  spec: { deployment: '*', decode: '*', built: '*', problem: '*', 'grammar/units': '*' },
  stream: {
    listener: '*',
    events: '*',
    commands: '*',
    state: '{ defaultStreamConfig, type StreamConfig, type StreamCounters }',
    invariants: '*',
    affinity: '*',
    'entrance/entrance': '*',
    'entrance/events': '*',
    'entrance/commands': '*',
    'entrance/config': '*',
    'entrance/client-hello': '*',
    'entrance/state': '{ type EntranceCounters }',
    'entrance/invariants': '{ checkInvariants as checkEntranceInvariants }',
  },
  time: { 'deadline-queue': '*' },
  udp: {
    table: '*',
    events: '*',
    commands: '*',
    config: '*',
    counters: '*',
    'flow-id': '*',
    view: '{ type FlowView }',
    snapshot: '{ type FlowTableSnapshot }',
    invariants: '*',
  },
}

/** Entry points besides the core, and the files they give away. */
const OTHERS: Readonly<Record<string, readonly string[]>> = {
  'shells/node': [
    'shells/node/run',
    'shells/node/operator/client',
    'shells/node/file/deployment-file',
  ],
  sim: ['sim/simulate', 'sim/swarm', 'sim/trace'],
}

/** Entry point, without extension and relative to `dist/`, to the text of its module. */
export function entryTexts(): Map<string, string> {
  const entries = new Map([['core/machine', "export * from '../../../core/machine.ts'\n"]])
  for (const [room, files] of Object.entries(ROOMS)) {
    const lines = Object.entries(files).map(
      ([file, names]) => `export ${names} from '../../../core/${room}/${file}.ts'\n`,
    )
    entries.set(`core/${room}`, lines.join(''))
  }
  const rooms = Object.keys(ROOMS).map((room) => `export * as ${room} from './core/${room}.ts'\n`)
  entries.set('index', `export * from './core/machine.ts'\n${rooms.join('')}`)
  for (const [name, files] of Object.entries(OTHERS)) {
    const up = '../'.repeat(name.split('/').length + 1)
    entries.set(name, files.map((file) => `export * from '${up}${file}.ts'\n`).join(''))
  }
  return entries
}

async function build(): Promise<void> {
  rmSync(DIST, { recursive: true, force: true })
  const entries = entryTexts()
  for (const [name, text] of entries) write(`entry/${name}.ts`, text)
  emitDeclarations([...entries.keys()])
  await bundleLibrary([...entries.keys()])
  await bundleCommand()
  await bundleWorker()
  const library = [...entries.keys()].map((name) =>
    sizeOf(name === 'index' ? 'weir' : `weir/${name}`, `dist/entry/${name}.ts`),
  )
  const sizes = await Promise.all([...library, sizeOf('the command', COMMAND, [apart])])
  rmSync(join(DIST, 'entry'), { recursive: true })
  printTable(['', 'minified', 'gzipped'], sizes)
}

/** One file for each entry point; what belongs to another room is imported from that room's. */
async function bundleLibrary(names: readonly string[]): Promise<void> {
  const bundles = names.map((name) =>
    esbuild.build({
      ...COMMON,
      entryPoints: [`dist/entry/${name}.ts`],
      outfile: join(DIST, `${name}.js`),
      packages: 'external',
      define: workerFrom(name),
      plugins: [otherRooms(name)],
    }),
  )
  await Promise.all(bundles)
}

/**
 * Leaves public files of other rooms to those rooms' own bundles, so that a class is one class
 * whatever it was imported through. Files that no room gives away are bundled where they are used.
 */
function otherRooms(name: string): esbuild.Plugin {
  const external = (entry: string) => ({
    path: posix.relative(posix.dirname(`/${name}`), `/${entry}.js`).replace(/^(?!\.)/, './'),
    external: true,
    sideEffects: false,
  })
  return {
    name: 'other rooms',
    setup: (bundle) => {
      bundle.onResolve({ filter: /^\./ }, ({ path, resolveDir, kind }) => {
        if (kind === 'entry-point') return undefined
        const target = relative(ROOT, join(resolveDir, path)).replace(/\.ts$/, '')
        const [, room = '', file = ''] = /^core\/(\w+)\/(.+)$/.exec(target) ?? []
        const isPublic = target === 'core/machine' || ROOMS[room]?.[file] === '*'
        const entry = target === 'core/machine' ? target : `core/${room}`
        if (isPublic && entry !== name) return external(entry)
        const [, entryFile] = /^dist\/entry\/(.+)$/.exec(target) ?? []
        return entryFile === undefined ? undefined : external(entryFile)
      })
    },
  }
}

async function bundleCommand(): Promise<void> {
  const outfile = join(DIST, 'weir.mjs')
  const { metafile } = await esbuild.build({
    ...COMMON,
    entryPoints: [COMMAND],
    outfile,
    metafile: true,
    define: { __WEIR_VERSION__: JSON.stringify(version()), ...workerFrom('weir') },
    banner: REQUIRE,
    plugins: [apart],
  })
  const acme = await esbuild.build({
    ...COMMON,
    stdin: { contents: `export { axios, Client, crypto } from '${ACME}'\n`, resolveDir: ROOT },
    outfile: join(DIST, `${ACME}.mjs`),
    metafile: true,
    banner: REQUIRE,
  })
  const text = readFileSync(outfile, 'utf8')
  if (!text.startsWith('#!')) writeFileSync(outfile, `#!/usr/bin/env node\n${text}`)
  chmodSync(outfile, 0o755)
  const inputs = [metafile, acme.metafile].flatMap((each) => Object.keys(each.inputs))
  write('weir.licenses.txt', licencesOf(inputs))
}

/** Nearly as large as the command, and most nodes never ask for it: a file of its own. */
const apart: esbuild.Plugin = {
  name: 'apart',
  setup: (bundle) => {
    const filter = new RegExp(`^${ACME}$`)
    bundle.onResolve({ filter }, () => ({ path: `./${ACME}.mjs`, external: true }))
  },
}

/** A file of its own: a thread is started from a file. */
async function bundleWorker(): Promise<void> {
  const entryPoints = ['shells/node/udp/batch/worker.ts']
  await esbuild.build({ ...COMMON, entryPoints, outfile: join(DIST, `${WORKER}.mjs`) })
}

/** Where the worker is for who looks from a bundle of this name. */
function workerFrom(name: string): Record<string, string> {
  const path = posix.relative(posix.dirname(`/${name}`), `/${WORKER}.mjs`)
  return { __WEIR_UDP_WORKER__: JSON.stringify(path.replace(/^(?!\.)/, './')) }
}

/** The licences of the packages whose files went into a bundle: most ask to travel with the code. */
function licencesOf(files: readonly string[]): string {
  const packages = new Set(
    files.flatMap((file) => /(?:^|\/)node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(file)?.[1] ?? []),
  )
  const texts = [...packages].sort().map((name) => {
    const directory = join(ROOT, 'node_modules', name)
    const files = readdirSync(directory)
    const [file, inside] = [/^licen[cs]e/i, /^readme/i].map((pattern) =>
      files.find((each) => pattern.test(each)),
    )
    const text = readFileSync(join(directory, file ?? inside ?? ''), 'utf8')
    // Some have it at the end of what they say of themselves.
    const licence = file === undefined ? /^#* *licen[cs]e\b[\s\S]*/im.exec(text)?.[0] : text
    if (licence === undefined) throw new Error(`${name} is bundled and has no licence`)
    return `${name}\n\n${licence.trim()}\n`
  })
  return texts.join(`\n${'-'.repeat(80)}\n\n`)
}

/** Beside each entry point, a declaration that leads to those of its files in `dist/types/`. */
function emitDeclarations(names: readonly string[]): void {
  const tsc = join(ROOT, 'node_modules/.bin/tsc')
  const run = spawnSync(tsc, ['-p', 'tsconfig.build.json'], { cwd: ROOT, stdio: 'inherit' })
  if (run.status !== 0) throw new Error('the declarations do not build')
  const emitted = join(DIST, 'types/dist')
  for (const name of names) {
    const text = readFileSync(join(emitted, 'entry', `${name}.d.ts`), 'utf8')
    // The way up from dist/entry/ to the sources is, from dist/, the way to their declarations.
    const up = '../'.repeat(name.split('/').length - 1) || './'
    write(
      `${name}.d.ts`,
      text.replaceAll(/(?<=')(?:\.\.\/)+(?=(?:core|shells|sim)\/)/g, `${up}types/`),
    )
  }
  rmSync(emitted, { recursive: true })
}

/** What a consumer who imports everything of an entry point gets, packages included. */
async function sizeOf(
  name: string,
  entryPoint: string,
  plugins: esbuild.Plugin[] = [],
): Promise<Row> {
  const { outputFiles } = await esbuild.build({
    ...COMMON,
    entryPoints: [entryPoint],
    plugins,
    minify: true,
    write: false,
  })
  const bytes = outputFiles[0]!.contents
  return [name, kilobytes(bytes.byteLength), kilobytes(gzipSync(bytes).byteLength)]
}

type Row = readonly [name: string, minified: string, gzipped: string]

const kilobytes = (bytes: number): string => `${(bytes / 1024).toFixed(1)} KB`

function printTable(header: Row, rows: readonly Row[]): void {
  const all = [header, ...rows]
  const width = Math.max(...all.map(([name]) => name.length))
  for (const [name, ...cells] of all) {
    console.log(name.padEnd(width) + cells.map((cell) => cell.padStart(12)).join(''))
  }
}

function write(path: string, text: string): void {
  const file = join(DIST, path)
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, text)
}

const version = (): string =>
  (JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string }).version

const COMMAND = 'shells/cli/main.ts'
const WORKER = 'udp-worker'
const ACME = 'acme-client'

/** Packages written for CommonJS ask for Node's own modules through `require`. */
const REQUIRE = {
  js: "import { createRequire } from 'node:module'\nconst require = createRequire(import.meta.url)",
}

const COMMON = {
  absWorkingDir: ROOT,
  bundle: true,
  // Native, and optional: whoever has it has it installed beside the bundle.
  external: ['koffi'],
  format: 'esm',
  platform: 'node',
  target: 'node24',
  legalComments: 'none',
  logLevel: 'warning',
} as const satisfies esbuild.BuildOptions

if (import.meta.main) await build()
