/** Asks who listens on a socket. Every call of `weir` loads this file, so it loads nothing but Node. */
import http from 'node:http'

export type SocketAnswer =
  | { readonly type: 'dead' } // nothing is there, or nobody listens
  | { readonly type: 'silent' } // somebody took the connection and says nothing of use
  | { readonly type: 'weir'; readonly pid: number }

/** Asks whoever listens on an operator socket for its version. */
export function askSocket(socketPath: string): Promise<SocketAnswer> {
  return new Promise((resolve) => {
    const request = http.get({ socketPath, path: '/v1/version', agent: false }, (response) => {
      let text = ''
      response.setEncoding('utf8')
      response.on('data', (data: string) => {
        text += data
        if (text.length > ANSWER_CHARACTERS_MAX) response.destroy()
      })
      response.on('error', () => {})
      response.on('close', () => {
        const { pid } = readHolder(text)
        resolve(pid === 0 ? { type: 'silent' } : { type: 'weir', pid })
      })
    })
    request.setTimeout(ASK_MS_MAX, () => request.destroy())
    request.on('error', (error: NodeJS.ErrnoException) => {
      const refused = DEAD_CODES.has(error.code ?? '')
      resolve({ type: refused ? 'dead' : 'silent' })
    })
  })
}

const DEAD_CODES: ReadonlySet<string> = new Set(['ECONNREFUSED', 'ENOENT', 'ENOTSOCK', 'ENOTDIR'])
export const ASK_MS_MAX = 2_000
export const ANSWER_CHARACTERS_MAX = 64 * 1024

/** What a node says of itself; pid 0 when it is none. */
export function readHolder(text: string): { pid: number; leaving: boolean } {
  try {
    const value = JSON.parse(text) as { pid?: unknown; leaving?: unknown } | null
    const pid = typeof value?.pid === 'number' ? value.pid : 0
    return { pid, leaving: value?.leaving === true }
  } catch {
    return { pid: 0, leaving: false }
  }
}
