import fs from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { readCertificateFiles } from '../../../../shells/node/tls/certificate-files.ts'
import { temporaryDirectory } from '../temporary-directory.ts'

function withNames(...names: readonly string[]): string {
  const directory = temporaryDirectory()
  for (const name of names) {
    for (const ending of ['crt', 'key'])
      fs.writeFileSync(path.join(directory, `${name}.${ending}`), '')
  }
  return directory
}

test.each<[files: string[], used: string[], problems: string[]]>([
  [['a', 'b'], ['a', 'b'], []],
  [['a', 'b', 'c'], ['a', 'b'], ['c: not used, there are 2 names already']],
  [
    ['a', 'b', 'c', '_.x.y', 'e'],
    ['*.x.y', 'a'],
    ['b and 2 more: not used, there are 2 names already'],
  ],
  [
    ['A', 'a', 'b', 'c', 'd'],
    ['a', 'b'],
    [
      'a.crt is not used: A.crt is for a already',
      'a.key is not used: A.key is for a already',
      'c and 1 more: not used, there are 2 names already',
    ],
  ],
])('of %s two are used, and it is said how many names are not', async (files, used, problems) => {
  const listing = await readCertificateFiles(withNames(...files), 2)
  expect([...listing.found.keys()]).toEqual(used)
  expect(listing.problems).toEqual(problems)
})
