/** Probes that connect to a replica: TCP and HTTP. */
import { request } from 'node:http'
import { connect } from 'node:net'
import type { ProbeTarget } from '../../../core/node/commands.ts'
import { reasonOf } from '../socket-errors.ts'
import type { ProbeWork } from './run.ts'

type TcpTarget = Extract<ProbeTarget, { type: 'tcp' }>
type HttpTarget = Extract<ProbeTarget, { type: 'http' }>

/** Healthy when the connection is accepted. */
export const probeTcp =
  ({ host, port }: TcpTarget): ProbeWork =>
  (answer, stop) =>
    new Promise((over) => {
      const socket = connect({ host: withoutBrackets(host), port })
      stop.addEventListener('abort', () => socket.destroy())
      if (stop.aborted) socket.destroy()
      socket.once('connect', () => {
        answer('')
        socket.destroy()
      })
      socket.once('error', (error) => answer(reasonOf(error)))
      socket.once('close', () => over())
    })

/**
 * Healthy when GET answers with exactly the status, whatever it is; nothing is followed. The
 * verdict stands with the head; of the body a little is read, so that the program is not cut off
 * in the middle of a short page.
 */
export const probeHttp =
  ({ host, port, path, authority, expectStatus }: HttpTarget): ProbeWork =>
  (answer, stop) =>
    new Promise((over) => {
      const asked = request({
        host: withoutBrackets(host),
        port,
        path,
        // a connection of its own: a kept one would hide that no new one is accepted
        agent: false,
        headers: {
          Host: authority,
          'User-Agent': 'weir-probe',
          Accept: '*/*',
          Connection: 'close',
        },
      })
      stop.addEventListener('abort', () => asked.destroy())
      if (stop.aborted) asked.destroy()
      asked.once('response', (response) => {
        const { statusCode } = response
        const isExpected = statusCode === expectStatus
        answer(isExpected ? '' : `status ${statusCode}, expected ${expectStatus}`)
        let bytes = 0
        response.on('data', (chunk: Buffer) => {
          bytes += chunk.length
          if (bytes > BODY_BYTES_MAX) asked.destroy()
        })
        // cut off after its head: the verdict stands
        response.once('error', () => {})
      })
      asked.on('error', (error) => answer(httpReason(error)))
      asked.once('close', () => over())
      asked.end()
    })

function httpReason(error: NodeJS.ErrnoException): string {
  if (error.code === 'HPE_HEADER_OVERFLOW') return 'the head of the answer is too long'
  if (error.code?.startsWith('HPE_') === true) return 'the answer is not HTTP'
  if (error.message === 'socket hang up') return 'connection closed without an answer'
  return reasonOf(error)
}

/** `[::1]` in a URL, `::1` for the system. */
export const withoutBrackets = (host: string): string => host.replace(/^\[(.*)\]$/, '$1')

const BODY_BYTES_MAX = 64 * 1024
