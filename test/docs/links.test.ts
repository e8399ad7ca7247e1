import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const pages = ['README.md', ...globSync('docs/**/*.md', { cwd: ROOT })]

test.each(pages)('every link of %s leads somewhere', (page) => {
  const text = readFileSync(join(ROOT, page), 'utf8').replaceAll(/^```.*?^```/gms, '')
  const targets = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target!)
  const broken = targets.filter((target) => {
    if (/^(https?:|#)/.test(target)) return false
    return !existsSync(join(ROOT, dirname(page), target.replace(/#.*/, '')))
  })
  expect(broken).toEqual([])
})

test('every page is found from the index', () => {
  const index = readFileSync(join(ROOT, 'docs/README.md'), 'utf8')
  const missing = globSync('*.md', { cwd: join(ROOT, 'docs') }).filter(
    (page) => page !== 'README.md' && !index.includes(`(${page})`),
  )
  expect(missing).toEqual([])
})
