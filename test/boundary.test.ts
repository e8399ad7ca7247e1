import { readFileSync } from 'node:fs'
import { glob } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { beforeAll, describe, expect, test } from 'vitest'
import { packagesReached, problemsOf, treeOf } from './boundary/rules.ts'
import { readSourceFile, type SourceFile } from './boundary/source-file.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

const files = new Map<string, SourceFile>()

beforeAll(async () => {
  for await (const path of glob('{core,sim,shells,test,docs}/**/*.{ts,mts}', { cwd: ROOT })) {
    files.set(path, readSourceFile(path, readFileSync(`${ROOT}/${path}`, 'utf8')))
  }
})

describe('the repository keeps its boundaries', () => {
  test.each(['core', 'sim', 'shells', 'test', 'docs'] as const)('%s', (tree) => {
    const ours = [...files.values()].filter((file) => treeOf(file.path) === tree)
    expect(ours.flatMap(problemsOf)).toEqual([])
  })

  test('rooms without packages reach none through the files they import', () => {
    expect(packagesReached(files)).toEqual([])
  })

  test('there is something to judge', () => {
    const trees = [...files.keys()].map((path) => treeOf(path))
    expect(trees.filter((tree) => tree === 'core').length).toBeGreaterThan(10)
  })
})

const problems = (path: string, text: string): string[] => problemsOf(readSourceFile(path, text))

describe('a leak into core is found', () => {
  test.each([
    // imports
    ['import { readFile } from "node:fs"', 'core/udp may not import node:fs'],
    ['import type { Socket } from "node:net"', 'core/udp may not import node:net'],
    ['import "node:process"', 'core/udp may not import node:process'],
    ['export * from "node:path"', 'core/udp may not import node:path'],
    ['export { x } from "effect"', 'core/udp may not import effect'],
    ['export type X = import("node:net").Socket', 'core/udp may not import node:net'],
    ['import { setup } from "xstate"', 'core/udp may not import xstate'],
    [
      'import { startNode } from "../../shells/node/run.ts"',
      'core may not import shells/node/run.ts',
    ],
    ['import { World } from "../../sim/world.ts"', 'core may not import sim/world.ts'],
    ['import { x } from "../../build.ts"', 'core may not import build.ts'],
    ['export const load = (path: string) => import(path)', 'uses import()'],
    ['const fs = require("node:fs")', 'uses the global require'],
    ['import fs = require("node:fs")', 'uses import ='],
    ['/// <reference types="node" />', 'uses /// <reference'],
    // time, chance, the process
    ['export const now = () => Date.now()', 'uses the global Date.now'],
    ['export const today = new Date()', 'uses the global Date'],
    ['export type When = Date', 'uses the global Date'],
    ['export const any = Math.random()', 'uses the global Math.random'],
    ['export const { random } = Math', 'uses the global Math'],
    ['export const any = Math["random"]()', 'uses the global Math'],
    ['export const now = performance.now()', 'uses the global performance.now'],
    ['export const id = crypto.randomUUID()', 'uses the global crypto.randomUUID'],
    ['setTimeout(() => {}, 1)', 'uses the global setTimeout'],
    ['export const later = globalThis.setTimeout', 'uses the global globalThis.setTimeout'],
    ['export const env = process.env', 'uses the global process.env'],
    ['console.log("x")', 'uses the global console.log'],
    ['export const bytes = Buffer.alloc(1)', 'uses the global Buffer.alloc'],
    ['export const bytes = new TextEncoder()', 'uses the global TextEncoder'],
    ['export const copy = structuredClone({})', 'uses the global structuredClone'],
    ['export const copy = eval("1")', 'uses the global eval'],
    [
      'export const order = (a: string, b: string) => a.localeCompare(b)',
      "localeCompare depends on the host's locale",
    ],
    // waiting
    ['export async function f() {}', 'uses async function'],
    ['export const f = async () => {}', 'uses async function'],
    ['export const o = { async f() {} }', 'uses async function'],
    ['export const p: Promise<void> | undefined = undefined', 'uses the global Promise'],
    ['export const p = Promise.resolve()', 'uses the global Promise.resolve'],
    ['const x = await 1', 'uses await'],
    ['for await (const x of []) {}', 'uses for await'],
    ['export const here = import.meta.url', 'uses import.meta'],
  ])('%s', (text, problem) => {
    expect(problems('core/udp/planted.ts', text)).toEqual([`core/udp/planted.ts:1: ${problem}`])
  })

  test('on the line where it is', () => {
    const text =
      '// Date.now() in a comment is fine\nconst a = 1\n\nexport const b = [a, Date.now()]\n'
    expect(problems('core/x/y.ts', text)).toEqual(['core/x/y.ts:4: uses the global Date.now'])
  })

  test.each([
    ['core/services/x.ts', 'import { setup, transition } from "xstate"', []],
    [
      'core/services/x.ts',
      'import { createActor } from "xstate"',
      ['core/services/x.ts:1: may not import createActor from xstate'],
    ],
    ['core/spec/x.ts', 'import { Schema } from "effect"', []],
    ['core/spec/x.ts', 'import * as Schema from "effect/Schema"', []],
    [
      'core/spec/x.ts',
      'import { Effect } from "effect"',
      ['core/spec/x.ts:1: may not import Effect from effect'],
    ],
    [
      'core/spec/x.ts',
      'import { parse } from "yaml"',
      ['core/spec/x.ts:1: core/spec may not import yaml'],
    ],
    [
      'core/net/x.ts',
      'import { setup } from "xstate"',
      ['core/net/x.ts:1: core/net may not import xstate'],
    ],
    ['sim/x.ts', 'import { NodeMachine } from "../core/node/node.ts"', []],
    [
      'sim/x.ts',
      'import { startNode } from "../shells/node/run.ts"',
      ['sim/x.ts:1: sim may not import shells/node/run.ts'],
    ],
    ['sim/x.ts', 'export const at = Date.now()', ['sim/x.ts:1: uses the global Date.now']],
    ['sim/run.ts', 'import { openSync } from "node:fs"; export const at = performance.now()', []],
    [
      'sim/x.ts',
      'import { createServer } from "node:http"',
      ['sim/x.ts:1: sim may not import node:http'],
    ],
    ['shells/node/x.ts', 'import { createServer } from "node:http"; setTimeout(() => {}, 1)', []],
    [
      'shells/node/x.ts',
      'import { run } from "../../sim/run.ts"',
      ['shells/node/x.ts:1: shells may not import sim/run.ts'],
    ],
    ['shells/cli/x.ts', 'import { run } from "../../sim/run.ts"', []],
    [
      'shells/cli/x.ts',
      'import { x } from "../../test/x.ts"',
      ['shells/cli/x.ts:1: shells may not import test/x.ts'],
    ],
  ])('%s: %s', (path, text, expected) => {
    expect(problems(path, text)).toEqual(expected)
  })

  test('when it comes through another room', () => {
    const planted = new Map(
      [
        readSourceFile('core/net/a.ts', 'import { b } from "../x/b.ts"\nexport const a = b'),
        readSourceFile('core/x/b.ts', 'import { c } from "../services/c.ts"\nexport const b = c'),
        readSourceFile(
          'core/services/c.ts',
          'import { setup } from "xstate"\nexport const c = setup',
        ),
        readSourceFile('core/net/d.ts', 'import type { c } from "../services/c.ts"'),
      ].map((file) => [file.path, file]),
    )
    expect(packagesReached(planted)).toEqual([
      'core/net/a.ts reaches xstate through core/services/c.ts',
    ])
  })
})

describe('what a machine needs is no leak', () => {
  test.each([
    'export const f = (process: string, Date: number) => process + Date',
    'export class K extends Error { static #n = 1; setTimeout() { return Math.max(K.#n, 2) } }',
    'export const o = { Date: 1, console: 2 }; export const x = o.Date + o.console',
    'export type T = Readonly<Record<string, Map<string, Uint8Array>>>; export const t = {} as const',
    'declare const brand: unique symbol; export type Id = string & { readonly [brand]: 1 }',
    'export function* f(): Generator<number> { yield Number.NaN }',
    'export type Text = "Date.now() setTimeout"; export const text = `Math.random()`',
  ])('%s', (text) => {
    expect(problems('core/udp/x.ts', text)).toEqual([])
  })
})
