/** Who may import whom, and what a pure machine may touch. One place, read by one test. */
import { posix } from 'node:path'
import type { Import, SourceFile, Use } from './source-file.ts'

/** Every broken rule as `FILE:LINE: what`. */
export function problemsOf(file: SourceFile): string[] {
  const tree = treeOf(file.path)
  const told = (use: { line: number }, text: string) => `${file.path}:${use.line}: ${text}`
  const problems = file.imports.flatMap((each) => {
    const problem = importProblem(file, tree, each)
    return problem === undefined ? [] : [told(each, problem)]
  })
  if (!isPure(file.path)) return problems
  return [
    ...problems,
    ...file.globals
      .filter(isForbiddenGlobal)
      .map((use) => told(use, `uses the global ${use.name}`)),
    ...file.syntax.map((use) => told(use, `uses ${use.name}`)),
    ...file.members
      .filter((use) => LOCALE_MEMBERS.has(use.name))
      .map((use) => told(use, `${use.name} depends on the host's locale`)),
  ]
}

/**
 * Packages that each file of a package-free room reaches through imports that survive the removal
 * of types, however many files away: `FILE reaches PACKAGE through FILE`.
 */
export function packagesReached(files: ReadonlyMap<string, SourceFile>): string[] {
  const problems: string[] = []
  for (const file of files.values()) {
    if (!isPackageFree(file.path)) continue
    const seen = new Set([file.path])
    for (const path of seen) {
      for (const each of files.get(path)?.imports ?? []) {
        if (each.isType) continue
        if (isRelative(each.from)) seen.add(resolve(path, each.from))
        else problems.push(`${file.path} reaches ${each.from} through ${path}`)
      }
    }
  }
  return problems
}

function importProblem(file: SourceFile, tree: Tree | undefined, each: Import): string | undefined {
  if (!isRelative(each.from)) {
    return tree === 'core' || tree === 'sim' ? packageProblem(file.path, tree, each) : undefined
  }
  const target = resolve(file.path, each.from)
  const targetTree = treeOf(target)
  if (tree === undefined) return `${file.path} belongs to no part of the tree`
  const isAllowed =
    tree === 'test' ||
    (targetTree !== undefined && MAY_IMPORT[tree].includes(targetTree)) ||
    // `weir sim` runs the simulator.
    (targetTree === 'sim' && file.path.startsWith('shells/cli/'))
  return isAllowed ? undefined : `${tree} may not import ${target}`
}

function packageProblem(path: string, tree: 'core' | 'sim', each: Import): string | undefined {
  if (tree === 'sim') {
    const isNode = each.from.startsWith('node:') && isPure(path)
    return isNode ? `sim may not import ${each.from}` : undefined
  }
  const names = PACKAGES[roomOf(path)]?.[each.from]
  if (names === undefined) return `${roomOf(path)} may not import ${each.from}`
  const forbidden = names === '*' ? [] : each.names.filter((name) => !names.includes(name))
  return forbidden.length === 0 ? undefined : `may not import ${forbidden} from ${each.from}`
}

function isForbiddenGlobal({ name, isType }: Use): boolean {
  if (isType && TYPES.has(name)) return false
  const [root = '', member] = name.split('.')
  // Math is allowed one named function at a time: an alias of it would hide `random`.
  if (root === 'Math') return member === undefined || member === 'random'
  return !GLOBALS.has(root)
}

export type Tree = 'core' | 'sim' | 'shells' | 'test' | 'docs'

/** The part of the repository a file belongs to; `undefined` for files like `build.ts`. */
export const treeOf = (path: string): Tree | undefined =>
  (Object.keys(MAY_IMPORT) as Tree[]).find((tree) => path.startsWith(`${tree}/`))

const roomOf = (path: string): string => path.split('/').slice(0, 2).join('/')

/** A run of the simulator is decided by its seed alone; its command line is a command like others. */
const isPure = (path: string): boolean =>
  path.startsWith('core/') || (path.startsWith('sim/') && path !== 'sim/run.ts')

const isRelative = (specifier: string): boolean => specifier.startsWith('.')

const resolve = (from: string, specifier: string): string =>
  posix.join(posix.dirname(from), specifier)

const isPackageFree = (path: string): boolean => PACKAGE_FREE.has(roomOf(path))

/** Besides packages, where {@link packageProblem} has no say. */
const MAY_IMPORT: Readonly<Record<Tree, readonly Tree[]>> = {
  core: ['core'],
  sim: ['core', 'sim'],
  shells: ['core', 'shells'],
  test: ['core', 'sim', 'shells', 'test', 'docs'], // and the root's own, `build.ts`
  docs: ['core', 'sim', 'shells', 'docs'],
}

/** Pure parts of a statechart library: what describes a chart and what takes one transition. */
const STATECHART = [
  'and',
  'assign',
  'createMachine',
  'getInitialSnapshot',
  'getNextSnapshot',
  'initialTransition',
  'not',
  'or',
  'setup',
  'stateIn',
  'transition',
  'AnyMachineSnapshot',
  'MachineSnapshot',
  'SnapshotFrom',
  'StateFrom',
  'StateMachine',
  'StateValue',
]

/** Packages a room of `core/` may import, and what of them. Rooms not named here import none. */
const PACKAGES: Readonly<Record<string, Readonly<Record<string, '*' | readonly string[]>>>> = {
  'core/services': { xstate: STATECHART },
  'core/overlay': { xstate: STATECHART },
  'core/agents': { xstate: STATECHART },
  'core/spec': { effect: ['Schema'], 'effect/Schema': '*' },
}

/** A consumer who bundles one of these gets a few kilobytes. */
const PACKAGE_FREE = new Set(
  ['time', 'net', 'udp', 'stream', 'http', 'policy', 'acme', 'balance', 'publish', 'reconnect'].map(
    (room) => `core/${room}`,
  ),
)

/** Part of the language, and the same in every process. */
const GLOBALS = new Set([
  'undefined',
  'NaN',
  'Infinity',
  'isNaN',
  'isFinite',
  'parseInt',
  'parseFloat',
  'Array',
  'BigInt',
  'Boolean',
  'JSON',
  'Map',
  'Number',
  'Object',
  'RegExp',
  'Set',
  'String',
  'Symbol',
  'WeakMap',
  'WeakSet',
  'ArrayBuffer',
  'DataView',
  'BigInt64Array',
  'BigUint64Array',
  'Float32Array',
  'Float64Array',
  'Int8Array',
  'Int16Array',
  'Int32Array',
  'Uint8Array',
  'Uint8ClampedArray',
  'Uint16Array',
  'Uint32Array',
  'Error',
  'RangeError',
  'SyntaxError',
  'TypeError',
])

/** Types of the language besides those of {@link GLOBALS}. */
const TYPES = new Set([
  ...GLOBALS,
  'const', // `as const`
  'Record',
  'Readonly',
  'Partial',
  'Required',
  'Pick',
  'Omit',
  'Exclude',
  'Extract',
  'NonNullable',
  'NoInfer',
  'Parameters',
  'ReturnType',
  'InstanceType',
  'ConstructorParameters',
  'ReadonlyArray',
  'ReadonlyMap',
  'ReadonlySet',
  'ArrayLike',
  'ArrayBufferLike',
  'Iterable',
  'Iterator',
  'IterableIterator',
  'IteratorObject',
  'Generator',
  'PropertyKey',
  'Uppercase',
  'Lowercase',
  'Capitalize',
  'Uncapitalize',
])

/** They answer by the locale and the version of its data, so two hosts may disagree. */
const LOCALE_MEMBERS = new Set([
  'localeCompare',
  'toLocaleLowerCase',
  'toLocaleString',
  'toLocaleUpperCase',
])
