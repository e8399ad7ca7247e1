/** What a source file asks of the world around it, read from its syntax tree. */
import { analyze } from '@typescript-eslint/scope-manager'
import { parseSync, Visitor } from 'oxc-parser'

export interface SourceFile {
  /** Relative to the repository, with `/`. */
  readonly path: string
  readonly imports: readonly Import[]
  /** Names that no scope of the file declares. */
  readonly globals: readonly Use[]
  /** Syntax that waits, loads code or looks at the module itself. */
  readonly syntax: readonly Use[]
  /** Properties that are read by name, `localeCompare` in `a.localeCompare(b)`. */
  readonly members: readonly Use[]
}

export interface Import {
  readonly from: string
  /** `*` for a namespace or a re-export of everything, `default` for a default import. */
  readonly names: readonly string[]
  /** Erased when the types are. */
  readonly isType: boolean
  readonly line: number
}

export interface Use {
  readonly name: string
  readonly line: number
  /** The name stands for a type, not for a value. */
  readonly isType: boolean
}

/** Throws when the text does not parse: a file nobody can read cannot be judged. */
export function readSourceFile(path: string, text: string): SourceFile {
  const parsed = parseSync(path, text, { lang: 'ts', sourceType: 'module', range: true })
  if (parsed.errors.length > 0) throw new Error(`${path}: ${parsed.errors[0]?.message}`)
  const lineAt = lineFinder(text)
  const imports = staticImports(parsed.module, lineAt)
  const syntax: Use[] = []
  const members: Use[] = []
  const mathMembers = new Map<number, string>()
  const found = (name: string, node: { start: number }) =>
    syntax.push({ name, line: lineAt(node.start), isType: false })
  const functionIsAsync = (node: { start: number; async: boolean }) => {
    if (node.async) found('async function', node)
  }
  new Visitor({
    FunctionDeclaration: functionIsAsync,
    FunctionExpression: functionIsAsync,
    ArrowFunctionExpression: functionIsAsync,
    AwaitExpression: (node) => found('await', node),
    ForOfStatement: (node) => {
      if (node.await) found('for await', node)
    },
    ImportExpression: (node) => found('import()', node),
    MetaProperty: (node) => {
      if (node.meta.name === 'import') found('import.meta', node)
    },
    DebuggerStatement: (node) => found('debugger', node),
    TSImportType: (node) =>
      imports.push({
        from: String(node.source.value),
        names: ['*'],
        isType: true,
        line: lineAt(node.start),
      }),
    TSImportEqualsDeclaration: (node) => found('import =', node),
    TSModuleDeclaration: (node) => found('namespace', node),
    MemberExpression: (node) => {
      if (node.computed || node.property.type !== 'Identifier') return
      const name = node.property.name
      members.push({ name, line: lineAt(node.property.start), isType: false })
      if (node.object.type === 'Identifier') mathMembers.set(node.object.start, name)
    },
  }).visit(parsed.program)
  for (const comment of parsed.comments) {
    if (/^\/\s*<reference/.test(comment.value)) found('/// <reference', comment)
  }
  return { path, imports, globals: freeNames(parsed.program, mathMembers, lineAt), syntax, members }
}

type Parsed = ReturnType<typeof parseSync>

function staticImports(module: Parsed['module'], lineAt: (offset: number) => number): Import[] {
  const imports: Import[] = module.staticImports.map((each) => ({
    from: each.moduleRequest.value,
    names: each.entries.map((entry) =>
      entry.importName.kind === 'Name' ? String(entry.importName.name) : nameOfKind(entry),
    ),
    isType: each.entries.length > 0 && each.entries.every((entry) => entry.isType),
    line: lineAt(each.start),
  }))
  for (const each of module.staticExports) {
    for (const entry of each.entries) {
      if (entry.moduleRequest === null) continue
      imports.push({
        from: entry.moduleRequest.value,
        names: [entry.importName.name ?? '*'],
        isType: entry.isType,
        line: lineAt(each.start),
      })
    }
  }
  return imports
}

const nameOfKind = (entry: { importName: { kind: string } }): string =>
  entry.importName.kind === 'Default' ? 'default' : '*'

/** A member of a free name is told as `Math.random`, so that a rule can allow all but some. */
function freeNames(
  program: Parsed['program'],
  memberAt: ReadonlyMap<number, string>,
  lineAt: (offset: number) => number,
): Use[] {
  // Both describe the same tree (ESTree with TypeScript's nodes); only their type names differ.
  const tree = program as unknown as Parameters<typeof analyze>[0]
  const scopes = analyze(tree, { sourceType: 'module', lib: [], impliedStrict: true })
  return (scopes.globalScope?.through ?? []).map((reference) => {
    const { name, range } = reference.identifier as { name: string; range: [number, number] }
    const member = memberAt.get(range[0])
    return {
      name: member === undefined ? name : `${name}.${member}`,
      line: lineAt(range[0]),
      isType: !reference.isValueReference,
    }
  })
}

function lineFinder(text: string): (offset: number) => number {
  const starts = [0]
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1)
  return (offset) => starts.findLastIndex((start) => start <= offset) + 1
}
