import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { unbuilt } from '../../../core/spec/built.ts'
import { loadDeployment } from '../../../shells/node/file/deployment-file.ts'
import { everything } from './everything.ts'
import { deploymentOf } from './files.ts'
import { partNames, rowsOf } from './schema-table.ts'

const page = readFileSync(new URL('../../../docs/deployment-file.md', import.meta.url), 'utf8')

describe('the reference has every key with its default and meaning', () => {
  for (const part of partNames()) {
    test(part, () => {
      const heading = `### ${part.replaceAll('_', ' ')}\n`
      const section = page.slice(page.indexOf(heading) + heading.length).split('\n### ')[0]!
      const rows = section.split('\n').filter((line) => line.startsWith('| `'))
      expect(rows).toEqual(rowsOf(part))
    })
  }
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

test('its example is a deployment', () => {
  const example = /```yaml\n([\s\S]*?)```/.exec(page)![1]!
  expect(loadDeployment(example, 'weir.yaml')).toMatchObject({ ok: true, warnings: [] })
})
