/** The corpus of request smuggling, over real sockets, to backends that parse by themselves. */
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CORPUS } from '../../../core/http/smuggling/corpus.ts'
import type { Payload } from '../../../core/http/smuggling/payload.ts'
import { request } from '../../load.ts'
import { freePorts, missing, newDirectory, type RunningNode, until } from '../../running-node.ts'
import { titleOf } from '../../stream/peers/nodes.ts'
import { nginxCommand, nginxFiles } from '../peers/nginx.ts'
import { deploymentOf, originService, startHttpNode } from '../peers/nodes.ts'

const RECORDER = fileURLToPath(new URL('../peers/programs/recorder.ts', import.meta.url))
const KNOWN = 'GET /known HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n'
const noNginx = missing('nginx')

interface Backend {
  readonly name: 'node' | 'nginx'
  port: number
  file: string
}

let node: RunningNode
const backends: readonly Backend[] = [
  { name: 'node', port: 0, file: '' },
  { name: 'nginx', port: 0, file: '' },
]

beforeAll(async () => {
  const directory = await newDirectory()
  const [own = 0, ...ports] = await freePorts(3)
  for (const [at, backend] of backends.entries()) {
    Object.assign(backend, { port: ports[at], file: join(directory, `seen-by-${backend.name}`) })
  }
  const recorder = originService('node', [`name: web, protocol: http, port: ${ports[0]}`], {
    command: JSON.stringify([process.execPath, '--no-warnings', RECORDER]),
    env: `SEEN: ${backends[0]?.file}`,
  })
  const nginx = originService(
    'nginx',
    [`name: web, protocol: http, port: ${ports[1]}, target_port: ${own}`],
    { command: nginxCommand(directory) },
  )
  const seen = `
    access_log ${backends[1]?.file} seen;
    location / { return 200 "saw $request_uri"; }`
  const conf = nginxFiles(own, seen)['nginx.conf'] as string
  const format = `log_format seen '$request_method $request_uri $status';`
  node = await startHttpNode(
    {
      'weir.yaml': deploymentOf(...(noNginx === undefined ? [recorder, nginx] : [recorder])),
      'nginx.conf': conf.replace('  server {', `  ${format}\n  server {`),
    },
    directory,
  )
})
afterAll(() => node?.stop())

describe.each(backends)('to $name', (backend) => {
  const reason = backend.name === 'nginx' ? noNginx : undefined
  test.skipIf(reason !== undefined)(
    titleOf('every payload, then a request that is known', reason),
    async () => {
      for (const [number, payload] of CORPUS.entries()) {
        const what = `${payload.class}: ${payload.name}`
        const answers = await send(backend.port, payload.text + KNOWN)
        const seen = await seenUntil(backend, number)
        if (backend.name === 'node') expect.soft(seen, what).toEqual(wanted(payload))
        judge(payload, seen, answers, what)
      }
    },
  )
})

/** What a backend that reads bodies to their end is to have seen, once all is over. */
const wanted = ({ strict, text }: Payload): readonly string[] =>
  'forward' in strict
    ? [
        ...strict.forward.map((body, at) =>
          expect.stringContaining(`${targetOf(text, at)}${JSON.stringify(body)}`),
        ),
        'GET /known ""',
      ]
    : []

/** That of the first request; those after it may be any. */
const targetOf = (text: string, at: number): string =>
  at === 0 && text.startsWith('POST / ') ? 'POST / ' : ' '

function judge({ strict }: Payload, seen: readonly string[], answers: string, what: string): void {
  const statuses = [...answers.matchAll(/HTTP\/1\.[01] ([2-5]\d+)/g)].map(([, status]) =>
    Number(status),
  )
  if ('forward' in strict) {
    // each has its own answer, if only that the backend is stricter, and the known one the last
    expect
      .soft(statuses, what)
      .toEqual([...strict.forward.map(() => expect.toBeOneOf([200, 400])), 200])
    expect.soft(answers, what).toMatch(/saw \/known$/)
    expect.soft(seen, what).toHaveLength(strict.forward.length + 1)
    return
  }
  expect.soft(answers, what).not.toContain('/known')
  expect.soft(seen.join(), what).not.toContain('/known')
  if ('refuse' in strict) {
    expect.soft([statuses, seen], what).toEqual([[strict.refuse], []])
    return
  }
  // an answer that came before the first wrong byte is the only one
  expect.soft(statuses.length, what).toBeLessThanOrEqual(1)
  if (statuses[0] !== 200) expect.soft(statuses, what).toEqual([strict.refuseBody])
  expect.soft(seen.length, what).toBeLessThanOrEqual(1)
}

/** All that comes back until the connection is closed. */
function send(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    let got = ''
    socket.setTimeout(30_000, () => {
      socket.destroy()
      reject(
        new Error(`neither answered nor closed: ${JSON.stringify(text)}, ${JSON.stringify(got)}`),
      )
    })
    socket.setEncoding('latin1')
    socket.on('data', (some: string) => {
      got += some
    })
    socket.on('error', () => {}) // cut while the rest was on its way
    socket.on('close', () => resolve(got))
    socket.write(text, 'latin1')
  })
}

const read = new Map<string, number>()

/** The lines since the last time, once a request that marks the end of them is there. */
async function seenUntil({ port, file }: Backend, number: number): Promise<readonly string[]> {
  await request(port, `/mark-${number}`)
  let lines: string[] = []
  await until(() => {
    lines = readFileSync(file, 'latin1')
      .slice(read.get(file) ?? 0)
      .split('\n')
    return lines.some((line) => line.includes(`/mark-${number} `))
  })
  read.set(file, (read.get(file) ?? 0) + lines.join('\n').length)
  return lines.filter((line) => line !== '' && !line.includes('/mark-'))
}
