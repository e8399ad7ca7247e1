/** What clients ask, and what backends do about it: drawn by fast-check, written as bytes. */
import fc from 'fast-check'

export interface Request {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT'
  readonly framing: 'none' | 'length' | 'chunked'
  readonly size: number
  readonly close: boolean
  readonly minor: 0 | 1
  /** One for each time that a backend gets it; the last one for all further times. */
  readonly plans: readonly Plan[]
}

export interface Plan {
  readonly interim: number
  readonly framing: 'none' | 'length' | 'chunked' | 'close'
  readonly size: number
  /** Answers when it has the head. */
  readonly early: boolean
  readonly close: boolean
  /** How much of the answer it writes before it ends (or resets) its connection. */
  readonly cutAt: number | undefined
  readonly resets: boolean
  /** Never answers. */
  readonly silent: boolean
  readonly keepAlive: boolean
  readonly trailer: boolean
}

const plan: fc.Arbitrary<Plan> = fc.record({
  interim: fc.constantFrom(0, 0, 0, 1, 2),
  framing: fc.constantFrom('none', 'length', 'length', 'chunked', 'close'),
  size: fc.constantFrom(0, 1, 7, 40, 300),
  early: weighted(1, 6),
  close: weighted(1, 5),
  cutAt: fc.option(fc.nat(120), { freq: 5, nil: undefined }),
  resets: fc.boolean(),
  silent: weighted(1, 12),
  keepAlive: weighted(1, 4),
  trailer: fc.boolean(),
})

const request: fc.Arbitrary<Request> = fc
  .record({
    method: fc.constantFrom('GET', 'GET', 'HEAD', 'POST', 'PUT'),
    framing: fc.constantFrom('none', 'length', 'chunked'),
    size: fc.constantFrom(0, 1, 7, 40, 200),
    close: weighted(1, 8),
    minor: fc.constantFrom(1, 1, 1, 0),
    plans: fc.array(plan, { minLength: 1, maxLength: 3 }),
  })
  .map((drawn) => ({
    ...drawn,
    // HTTP/1.0 has no chunks
    framing: drawn.minor === 0 && drawn.framing === 'chunked' ? 'length' : drawn.framing,
  }))

export interface Script {
  /** Of each client, in the order of its pipeline. */
  readonly clients: readonly (readonly Request[])[]
  /** Lengths of the pieces in which bytes come, in turn. */
  readonly cuts: readonly number[]
  /** Which of the things that can happen next does. */
  readonly choices: readonly number[]
  readonly backends: number
}

export const script: fc.Arbitrary<Script> = fc.record({
  clients: fc.array(fc.array(request, { minLength: 1, maxLength: 4 }), {
    minLength: 1,
    maxLength: 3,
  }),
  cuts: fc.array(fc.constantFrom(1, 2, 5, 13, 40, 1000), { minLength: 1, maxLength: 6 }),
  choices: fc.array(fc.nat(999), { maxLength: 150 }),
  backends: fc.constantFrom(1, 2),
})

function weighted(yes: number, no: number): fc.Arbitrary<boolean> {
  return fc.constantFrom(...Array<boolean>(yes).fill(true), ...Array<boolean>(no).fill(false))
}

export const pathOf = (client: number, index: number): string => `/${client}-${index}`

/** Different for each path, so that no byte of another one passes for it. */
export function bodyOf(path: string, size: number, side: string): string {
  let text = ''
  while (text.length < size) text += `${side}${path}.`
  return text.slice(0, size)
}

export function requestText(request: Request, path: string): string {
  const { method, framing, size, close, minor } = request
  const connection = close ? 'close' : 'keep-alive'
  const head = `${method} ${path} HTTP/1.${minor}\r\nHost: a\r\nConnection: ${connection}\r\n`
  const body = bodyOf(path, size, 'q')
  if (framing === 'none') return `${head}\r\n`
  if (framing === 'length') return `${head}Content-Length: ${size}\r\n\r\n${body}`
  return `${head}Transfer-Encoding: chunked\r\n\r\n${chunked(body)}0\r\n\r\n`
}

/** What a backend writes; of HEAD without the body. */
export function answerText(plan: Plan, path: string, method: string): string {
  const { interim, framing, size, close, keepAlive, trailer } = plan
  const body = bodyOf(path, size, 'a')
  const fields =
    `X-Path: ${path}\r\n` +
    (close ? 'Connection: close\r\n' : '') +
    (keepAlive ? 'Keep-Alive: timeout=3\r\n' : '')
  const before = 'HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n'.repeat(interim)
  if (framing === 'none') return `${before}HTTP/1.1 204 No Content\r\n${fields}\r\n`
  const start = `${before}HTTP/1.1 200 OK\r\n${fields}`
  const isHead = method === 'HEAD'
  if (framing === 'length') {
    return `${start}Content-Length: ${size}\r\n\r\n${isHead ? '' : body}`
  }
  if (framing === 'close') return `${start}\r\n${isHead ? '' : body}`
  const end = `0\r\n${trailer ? 'X-Trailer: 1\r\n' : ''}\r\n`
  return `${start}Transfer-Encoding: chunked\r\n\r\n${isHead ? '' : chunked(body) + end}`
}

function chunked(body: string): string {
  let text = ''
  for (let at = 0; at < body.length; at += 17) {
    const piece = body.slice(at, at + 17)
    text += `${piece.length.toString(16)};x=y\r\n${piece}\r\n`
  }
  return text
}
