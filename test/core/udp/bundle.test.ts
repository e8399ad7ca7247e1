/** What a consumer of `weir/core/udp` gets: how much it is, and what it asks of its surroundings. */
import { fileURLToPath } from 'node:url'
import { createContext, runInContext } from 'node:vm'
import { gzipSync } from 'node:zlib'
import * as esbuild from 'esbuild'
import { describe, expect, test } from 'vitest'
import { entryTexts } from '../../../build.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))

/** What the build makes the entry point of; there it is three folders down. */
const ENTRY = entryTexts().get('core/udp')!.replaceAll('../../../', './')

/** In bytes. What there is now, rounded up a little: nothing grows unseen. */
const BUDGETS = {
  'the table alone': {
    text: `export { FlowTable } from './core/udp/table.ts'`,
    minified: 35_100, // with network policies, and use that is noticed
    gzipped: 13_200,
  },
  'everything the room gives away': {
    text: ENTRY,
    minified: 39_700,
    gzipped: 14_800,
  },
}

const bundled = (text: string, options: Pick<esbuild.BuildOptions, 'format' | 'globalName'> = {}) =>
  esbuild.build({
    stdin: { contents: text, resolveDir: ROOT, loader: 'ts' },
    absWorkingDir: ROOT,
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'neutral', // an import of Node or of a package fails the build
    legalComments: 'none',
    ...options,
    metafile: true,
    write: false,
  })

/** The files of a bundle, the biggest share first. */
function sharesOf({ outputs }: esbuild.Metafile): string {
  return Object.values(outputs)
    .flatMap(({ inputs }) => Object.entries(inputs))
    .toSorted(([, one], [, other]) => other.bytesInOutput - one.bytesInOutput)
    .map(([file, { bytesInOutput }]) => `${String(bytesInOutput).padStart(6)} ${file}`)
    .join('\n')
}

describe('the bundle', () => {
  test.each(Object.entries(BUDGETS))('of %s is within its budget', async (_, budget) => {
    const { outputFiles, metafile } = await bundled(budget.text)
    const { contents } = outputFiles[0]!
    const gzipped = gzipSync(contents, { level: 9 }).byteLength
    const shares = sharesOf(metafile)
    expect(contents.byteLength, shares).toBeLessThanOrEqual(budget.minified)
    expect(gzipped, shares).toBeLessThanOrEqual(budget.gzipped)
    const outside = Object.keys(metafile.inputs).filter((file) => !/^(core\/|<stdin>)/.test(file))
    expect(outside).toEqual([])
  })
})

/** A flow from its first datagram to its end, by what the bundle gives away and the language. */
const CONSUMER = `
  const { FlowTable, defaultUdpConfig, checkInvariants, slotOf, configProblem } = weir
  const table = new FlowTable({ config: { ...defaultUdpConfig, proxyProtocol: 'first' } })
  const said = []
  function step(event, now) {
    const out = []
    table.step(event, now, out)
    checkInvariants(table)
    for (const command of out) said.push(command.type)
    return out
  }
  const ipv4 = (d, port) => ({ a: 0, b: 0, c: -65536, d, port })
  const from = ipv4(16777226, 5353) // 10.0.0.1
  const to = ipv4(16777343, 53)
  const payload = Uint8Array.of(1, 2, 3)
  step({ type: 'apply-backends', version: 1, backends: [{ id: 'a', host: '10.0.0.9', port: 53 }] }, 0)
  const [{ flow, attempt }] = step({ type: 'client-datagram', from, to, payload }, 1)
  step({ type: 'upstream-opened', flow, attempt }, 2)
  step({ type: 'upstream-datagram', flow, attempt, payload }, 3)
  const snapshot = JSON.stringify(table.snapshot(3))
  const restored = FlowTable.restore(JSON.parse(snapshot), 3)
  step({ type: 'client-datagram', from, to, payload }, 4)
  let now = 4
  let closed
  while (table.flowCount > 0) {
    now = table.deadline()
    closed = step({ type: 'tick' }, now)[0]
  }
  step({ type: 'apply-backends', version: 2, backends: [] }, now)
  step({ type: 'close' }, now)
  JSON.stringify({
    said,
    slot: slotOf(flow),
    now,
    closed,
    restored: restored.flows(3, 10).length,
    problem: configProblem({ ...defaultUdpConfig, lingerMs: -1 }),
  })
`

test('needs nothing but the language: no clock, no randomness, nothing of a host', async () => {
  const { outputFiles } = await bundled(ENTRY, {
    format: 'iife',
    globalName: 'weir',
  })
  const context = createContext({}, { codeGeneration: { strings: false, wasm: false } })
  // What the engine brings along all the same.
  runInContext('delete globalThis.console; Date = undefined; Math.random = undefined', context)
  const globals = runInContext('Object.getOwnPropertyNames(globalThis)', context) as string[]
  const ofHosts = ['process', 'Buffer', 'performance', 'crypto', 'setTimeout', 'queueMicrotask']
  const missing = [...ofHosts, 'TextEncoder', 'structuredClone', 'console', 'require', 'window']
  expect(globals.filter((name) => missing.includes(name))).toEqual([])
  runInContext(outputFiles[0]!.text, context)
  const result: unknown = JSON.parse(runInContext(CONSUMER, context) as string)
  expect(result).toEqual({
    said: [
      'backends-applied',
      'open-upstream',
      'send-upstream',
      'send-client',
      'send-upstream',
      'close-flow',
      'backends-applied',
      'backend-drained',
      'stop-listening',
      'emptied',
    ],
    slot: 0,
    now: 30_016, // 30 s after the last datagram, to the next 16 ms
    closed: {
      type: 'close-flow',
      flow: 2 ** 20,
      attempt: 1,
      reason: 'idle',
      client: { a: 0, b: 0, c: -65_536, d: 16_777_226, port: 5_353 },
      backend: 'a',
      totals: { datagramsUp: 2, bytesUp: 6, datagramsDown: 1, bytesDown: 3, durationMs: 30_015 },
    },
    restored: 1,
    problem: 'lingerMs must be a whole number from 0 to 1099511627776, not -1',
  })
})
