/** curl, and what it got. */
import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fixturesDirectory } from '../../../shells/node/tls/fixtures.ts'

export interface Got {
  /** Of curl; 0 is well. */
  readonly code: number
  readonly status: number
  /** `1.0`, `1.1`, `2`. */
  readonly version: string
  /** Of the final answer, by lower-case name; those that came twice are joined with `, `. */
  readonly fields: Fields
  /** The status of each head that came, interim ones too. */
  readonly statuses: readonly number[]
  readonly body: string
  readonly trailers: Fields
  /** By itself, as with `-w`. */
  readonly printed: string
  readonly complaint: string
}

type Fields = Readonly<Record<string, string>>

/** Who signed what nodes show in tests. */
export const CA = join(fixturesDirectory, 'ca.crt')

/** `--http2`, `-d`, a URL...: what is to be done. */
export async function curl(...words: readonly string[]): Promise<Got> {
  const directory = await mkdtemp(join(tmpdir(), 'weir-curl-'))
  const [head, body] = [join(directory, 'head'), join(directory, 'body')]
  const all = ['-sS', '--max-time', '60', '--cacert', CA, '-D', head, '-o', body, ...words]
  const { code, complaint, printed } = await run(all)
  const got = (file: string): Promise<string> => readFile(file, 'latin1').catch(() => '')
  const [heads, text] = [await got(head), await got(body)]
  await rm(directory, { recursive: true })
  return { code, complaint, printed, body: text, ...answerOf(heads) }
}

function run(words: readonly string[]): Promise<Pick<Got, 'code' | 'printed' | 'complaint'>> {
  return new Promise((resolve) => {
    execFile('curl', words, (error, printed, complaint) => {
      resolve({ code: Number(error?.code ?? 0), printed, complaint })
    })
  })
}

/** Heads, each with an empty line at its end, and the trailers of the last one. */
function answerOf(text: string): Omit<Got, 'code' | 'printed' | 'complaint' | 'body'> {
  const parts = text.split('\r\n\r\n')
  const heads = parts.filter((part) => part.startsWith('HTTP/'))
  const rest = parts.slice(heads.length).join('\r\n')
  const statuses = heads.map((head) => Number(head.split(' ')[1]))
  const last = heads.at(-1) ?? ''
  return {
    status: statuses.at(-1) ?? 0,
    version: /^HTTP\/([\d.]+)/.exec(last)?.[1] ?? '',
    statuses,
    fields: fieldsOf(last.split('\r\n').slice(1)),
    trailers: fieldsOf(rest.split('\r\n')),
  }
}

function fieldsOf(lines: readonly string[]): Fields {
  const fields: Record<string, string> = {}
  for (const line of lines) {
    const at = line.indexOf(':')
    if (at < 0) continue
    const name = line.slice(0, at).toLowerCase()
    const value = line.slice(at + 1).trim()
    fields[name] = fields[name] === undefined ? value : `${fields[name]}, ${value}`
  }
  return fields
}
