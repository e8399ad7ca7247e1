/** Certificates and keys for tests, made by `fixtures/make.sh`. */
import { copyFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** All of them together are not a certificate directory: some are broken on purpose. */
export const fixturesDirectory = fileURLToPath(new URL('fixtures', import.meta.url))

export const fixture = (file: string): string => readFileSync(join(fixturesDirectory, file), 'utf8')

/** `place({ 'a.example': 'a.example.new' }, directory)`: pairs under names of their own. */
export function place(directory: string, pairs: Readonly<Record<string, string>>): void {
  for (const [name, from] of Object.entries(pairs)) {
    for (const ending of ['crt', 'key']) {
      copyFileSync(
        join(fixturesDirectory, `${from}.${ending}`),
        join(directory, `${name}.${ending}`),
      )
    }
  }
}
