/**
 * One YAML document as a plain tree with the position of every key, item and scalar. Aliases and
 * merge keys are followed here and not by the library, so that what they expand to is bounded and
 * each copy knows its place.
 */
import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
  type YAMLMap,
  type YAMLSeq,
} from 'yaml'
import {
  type Position,
  type Positions,
  type Problem,
  pointerPart,
  valueKey,
} from '../../../core/spec/problem.ts'
import { quote, showKey } from '../../../core/spec/schema/words.ts'
import { encodingProblems, syntaxProblems } from './yaml-syntax.ts'

export interface YamlTree {
  /** Undefined when the text could not be understood as a whole, null when it says nothing. */
  readonly tree: unknown
  readonly positions: Positions
  readonly problems: readonly Problem[]
}

/** Never throws. */
export function readYaml(text: string): YamlTree {
  if (Buffer.byteLength(text) > BYTES_MAX) {
    return unusable(`the file is larger than ${BYTES_MAX / 1024 ** 2} MiB`)
  }
  const encoding = encodingProblems(text)
  if (encoding.problems.length > 0) return { tree: undefined, ...encoding }
  const lines = new LineCounter()
  let document: Document.Parsed
  try {
    document = parseDocument(text, {
      lineCounter: lines,
      prettyErrors: false,
      logLevel: 'error', // with `silent` a second document would pass unseen
      version: '1.2',
      resolveKnownTags: false,
      // the library compares each key with all others of its map; `TreeBuilder` keeps a set
      uniqueKeys: false,
    })
  } catch {
    return unusable('the file is nested too deeply')
  }
  const positionAt = (offset: number): Position => {
    const { line, col } = lines.linePos(offset)
    return { line, column: col }
  }
  const syntax = syntaxProblems(text, document, positionAt)
  if (syntax.problems.length > 0) return { tree: undefined, ...syntax }
  const { contents } = document
  if (contents === null || (isScalar(contents) && contents.value === null)) {
    return { tree: null, positions: new Map(), problems: [] }
  }
  return new TreeBuilder(positionAt).build(contents)
}

const unusable = (message: string): YamlTree => ({
  tree: undefined,
  positions: new Map(),
  problems: [{ path: [], message }],
})

class TreeBuilder {
  readonly #positionAt: (offset: number) => Position
  readonly #positions = new Map<string, Position>()
  readonly #problems: Problem[] = []
  /** What each alias stands for: the nearest anchor of that name before it. */
  readonly #targets = new Map<Alias, Node>()
  /** Nodes being built, to notice an alias inside its own anchor. */
  readonly #open = new Set<Node>()
  #nodesLeft = NODES_MAX
  /** Whether a part is missing, so that what the rest looks like would mislead. */
  #torn = false

  constructor(positionAt: (offset: number) => Position) {
    this.#positionAt = positionAt
  }

  build(contents: Node): YamlTree {
    this.#positions.set('', this.#positionOf(contents))
    if (!this.#resolveAliases(contents)) return unusable('the file is nested too deeply')
    const tree = this.#value(contents, '')
    return {
      tree: this.#torn ? undefined : tree,
      positions: this.#positions,
      problems: this.#problems,
    }
  }

  /** Walks the document once, in order, without following anything; false when it is too deep. */
  #resolveAliases(root: Node): boolean {
    const anchors = new Map<string, Node>()
    const walk = (node: unknown, depth: number): boolean => {
      if (depth > DEPTH_MAX) return false
      if (isAlias(node)) {
        const target = anchors.get(node.source)
        if (target !== undefined) this.#targets.set(node, target)
        return true
      }
      if (isScalar(node) || isMap(node) || isSeq(node)) {
        if (node.anchor !== undefined) anchors.set(node.anchor, node)
      }
      if (isSeq(node)) return node.items.every((item) => walk(item, depth + 1))
      if (!isMap(node)) return true
      return node.items.every(({ key, value }) => walk(key, depth + 1) && walk(value, depth + 1))
    }
    return walk(root, 0)
  }

  #value(node: unknown, pointer: string): unknown {
    if (!this.#spend(node)) return null
    if (isAlias(node)) return this.#alias(node, pointer)
    const tag = tagOf(node)
    const value = this.#untagged(node, pointer)
    // `!pin "id=2"` is the other spelling of `{ pin: "id=2" }`
    return tag === undefined ? value : { [tag]: value }
  }

  /** Past the limit nothing is built; that is reported once, where it was passed. */
  #spend(node: unknown): boolean {
    if (--this.#nodesLeft === -1) {
      const advice = 'aliases counted as what they stand for; write less'
      this.#tear(this.#positionOf(node), `more than ${NODES_MAX} values in one file, ${advice}`)
    }
    return this.#nodesLeft >= 0
  }

  #untagged(node: unknown, pointer: string): unknown {
    if (isScalar(node)) {
      this.#place(valueKey(pointer), this.#positionOf(node))
      return node.value ?? null
    }
    if (!isMap(node) && !isSeq(node)) return null
    this.#open.add(node)
    const value = isMap(node) ? this.#map(node, pointer) : this.#list(node, pointer)
    this.#open.delete(node)
    return value
  }

  #list(list: YAMLSeq, pointer: string): unknown[] {
    return list.items.map((item, index) => {
      const inside = pointer + pointerPart(index)
      this.#place(inside, this.#positionOf(item, list))
      return this.#value(item, inside)
    })
  }

  #alias(alias: Alias, pointer: string): unknown {
    const target = this.#targets.get(alias)
    const name = quote(`*${alias.source}`)
    const position = this.#positionOf(alias)
    this.#place(valueKey(pointer), position) // the text to look at is here
    if (target === undefined) {
      this.#tear(position, `${name} stands for nothing: no anchor of that name comes before it`)
    } else if (this.#open.has(target)) {
      this.#tear(position, `${name} stands for something it is itself a part of`)
    } else return this.#value(target, pointer)
    return null
  }

  #map(map: YAMLMap, pointer: string): Record<string, unknown> {
    const entries = new Map<string, unknown>()
    const merges: Pair[] = []
    for (const pair of map.items) {
      const key = this.#key(pair, map)
      if (key === undefined) continue
      if (key === '<<' && isScalar(pair.key) && pair.key.type === 'PLAIN') {
        merges.push(pair)
        continue
      }
      const inside = pointer + pointerPart(key)
      const position = this.#positionOf(pair.key, map)
      if (entries.has(key)) {
        const first = this.#positions.get(inside)!
        this.#report(position, `${showKey(key)} is given twice; the first is in line ${first.line}`)
        continue
      }
      this.#place(inside, position)
      entries.set(key, this.#value(pair.value, inside))
    }
    for (const pair of merges) this.#merge(pair, entries, pointer)
    return Object.fromEntries(entries)
  }

  /** Keys of the map itself win, then those of earlier merges. */
  #merge({ key, value }: Pair, entries: Map<string, unknown>, pointer: string): void {
    for (const source of isSeq(value) ? value.items : [value]) {
      if (!this.#spend(source)) return
      const target = isAlias(source) ? this.#targets.get(source) : source
      if (!isMap(target) || this.#open.has(target)) {
        const position = this.#positionOf(isAlias(source) ? source : key)
        this.#report(position, '<< takes a map, or a list of maps, such as *name')
        continue
      }
      this.#open.add(target)
      for (const [name, item] of Object.entries(this.#map(target, pointer))) {
        if (!entries.has(name)) entries.set(name, item)
      }
      this.#open.delete(target)
    }
  }

  #key({ key }: Pair, map: YAMLMap): string | undefined {
    const target = isAlias(key) ? this.#targets.get(key) : key
    if (isScalar(target) && target.value !== null && tagOf(target) === undefined) {
      // `8080: x` and `true: x` are texts to us, as they are written
      return typeof target.value === 'string'
        ? target.value
        : (target.source ?? String(target.value))
    }
    this.#report(this.#positionOf(key, map), 'a key must be text')
    return undefined
  }

  /** What is known of a place stays: a merged map does not move the keys that win over it. */
  #place(key: string, position: Position): void {
    if (!this.#positions.has(key)) this.#positions.set(key, position)
  }

  /** A problem that leaves a part of the tree missing. */
  #tear(position: Position, message: string): void {
    this.#torn = true
    this.#report(position, message)
  }

  /** Under a path of its own: the second of two equal keys has none in the tree. */
  #report(position: Position, message: string): void {
    const part = `yaml ${position.line}:${position.column}`
    this.#positions.set(pointerPart(part), position)
    this.#problems.push({ path: [part], message })
  }

  #positionOf(node: unknown, parent?: Node): Position {
    const range = isNode(node) ? node.range : undefined
    return this.#positionAt((range ?? parent?.range)?.[0] ?? 0)
  }
}

/** The name of a tag of one's own, `pin` for `!pin`; YAML's own tags are the library's work. */
function tagOf(node: unknown): string | undefined {
  if (!isScalar(node) && !isMap(node) && !isSeq(node)) return undefined
  return /^!([^!].*)$/.exec(node.tag ?? '')?.[1]
}

/** A thousand services take about a quarter of this. */
export const BYTES_MAX = 1024 ** 2
/** Values and merges, aliases expanded; a deployment of {@link BYTES_MAX} has about half as many. */
const NODES_MAX = 200_000
/** The format itself goes eight levels deep. */
const DEPTH_MAX = 64
