/** Which Weir this is: stamped in by the build, read from package.json when run from the sources. */
import { readFileSync } from 'node:fs'

declare const __WEIR_VERSION__: string | undefined

export function weirVersion(): string {
  if (typeof __WEIR_VERSION__ === 'string') return __WEIR_VERSION__
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}
