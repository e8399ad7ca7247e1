/** A node that only has an operator socket: answers from a script, and notes what it is asked. */
import { mkdirSync } from 'node:fs'
import { createServer, type ServerResponse } from 'node:http'
import { join } from 'node:path'

export interface FakeRequest {
  readonly method: string
  readonly path: string
  readonly query: Readonly<Record<string, string>>
  readonly body: unknown
}

/** JSON to answer with, or a function that answers itself. */
export type FakeAnswer =
  | { readonly status?: number; readonly json: unknown }
  | ((response: ServerResponse, request: FakeRequest) => void)

export interface FakeNode {
  readonly requests: FakeRequest[]
  close(): Promise<void>
}

/** `answers` by `METHOD /path`; the version is answered anyway. */
export async function fakeNode(
  stateDirectory: string,
  answers: Readonly<Record<string, FakeAnswer>>,
): Promise<FakeNode> {
  mkdirSync(stateDirectory, { recursive: true, mode: 0o700 })
  const requests: FakeRequest[] = []
  const server = createServer(async (incoming, response) => {
    const url = new URL(incoming.url ?? '/', 'http://node')
    let text = ''
    for await (const part of incoming) text += part
    const method = incoming.method ?? ''
    const path = url.pathname
    const request: FakeRequest = {
      method,
      path,
      query: Object.fromEntries(url.searchParams),
      body: text === '' ? undefined : JSON.parse(text),
    }
    if (path !== '/v1/version') requests.push(request)
    const key = `${method} ${path}`
    const answer = answers[key] ?? (key === 'GET /v1/version' ? VERSION : UNKNOWN)
    if (typeof answer === 'function') return answer(response, request)
    response.writeHead(answer.status ?? 200, { 'Content-Type': 'application/json' })
    response.end(JSON.stringify(answer.json))
  })
  await new Promise<void>((resolve) => server.listen(join(stateDirectory, 'weir.sock'), resolve))
  return {
    requests,
    close: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** Answers with one JSON value a line, and ends. */
export const lines =
  (...values: readonly unknown[]): FakeAnswer =>
  (response) => {
    response.writeHead(200, { 'Content-Type': 'application/x-ndjson' })
    response.end(values.map((value) => `${JSON.stringify(value)}\n`).join(''))
  }

const VERSION: FakeAnswer = {
  json: {
    name: 'weir',
    version: '9.9.9',
    pid: 4242,
    node: '00112233aabbccdd',
    state: '/state',
    since: '2026-01-01T00:00:00.000Z',
  },
}

const UNKNOWN: FakeAnswer = { status: 404, json: { error: 'no such path', code: 'not-found' } }
