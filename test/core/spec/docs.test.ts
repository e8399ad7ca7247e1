import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { unbuilt } from '../../../core/spec/built.ts'
import { jsonSchema } from '../../../core/spec/decode.ts'
import { decodeNodeFile, nodeJsonSchema } from '../../../core/spec/node/file.ts'
import { loadDeployment } from '../../../shells/node/file/deployment-file.ts'
import { loadNodeFile } from '../../../shells/node/file/node-file.ts'
import { everything } from './everything.ts'
import { deploymentOf } from './files.ts'
import { tablesOf } from './schema-table.ts'

const pageOf = (name: string): string =>
  readFileSync(new URL(`../../../docs/${name}`, import.meta.url), 'utf8')
const page = pageOf('deployment-file.md')
const nodePage = pageOf('node-file.md')

describe.each([
  ['deployment', page, jsonSchema()],
  ['node', nodePage, nodeJsonSchema()],
])('the reference of the %s file has every key with its default and meaning', (_, text, schema) => {
  test.each(tablesOf(schema))('%s', (title, rows) => {
    const heading = `### ${title}\n`
    const section = text.slice(text.indexOf(heading) + heading.length).split('\n### ')[0]!
    expect(section.split('\n').filter((line) => line.startsWith('| `'))).toEqual(rows)
  })
})

test('it says of every field whose work is not built that it is not', () => {
  const section = page.slice(page.indexOf('## Not built yet'), page.indexOf('## Every key'))
  for (const { path } of unbuilt(deploymentOf(everything()))) {
    const names = path.filter((part): part is string => typeof part === 'string')
    const named = path[0] === 'externals' ? 'externals' : names.at(-1)!
    const known = path.includes('env') ? '$S:' : path.includes('depends') ? 'depends' : named
    expect(section, path.join('.')).toContain(known)
  }
})

const exampleOf = (text: string): string => /```yaml\n([\s\S]*?)```/.exec(text)![1]!

test('its example is a deployment', () => {
  const loaded = loadDeployment(exampleOf(page), 'weir.yaml')
  expect(loaded).toMatchObject({ ok: true, warnings: [] })
})

test('the example of a node file is one, with a setting for each key', () => {
  const loaded = loadNodeFile(exampleOf(nodePage), 'node.yaml')
  expect(loaded).toMatchObject({ ok: true, warnings: [] })
  const keys = Object.keys(
    (nodeJsonSchema().$defs as { node: { properties: object } }).node.properties,
  )
  for (const key of keys) expect(exampleOf(nodePage)).toContain(`${key}:`)
})

test('keys of the node file that are not built are named as such', () => {
  const section = nodePage.slice(
    nodePage.indexOf('## Not built yet'),
    nodePage.indexOf('## Every key'),
  )
  for (const key of ['journal']) {
    expect(decodeNodeFile({ [key]: {} }).ok).toBe(false)
    expect(section).toContain(`\`${key}\``)
  }
})
