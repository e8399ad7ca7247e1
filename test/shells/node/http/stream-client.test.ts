import type { ServerHttp2Stream } from 'node:http2'
import { PassThrough } from 'node:stream'
import { expect, test } from 'vitest'
import type { ClientId } from '../../../../core/http/events.ts'
import { StreamClient } from '../../../../shells/node/http/http2/stream-client.ts'
import { PausedSockets } from '../../../../shells/node/listener/stream/paused-sockets.ts'
import { until } from '../listener/fixture.ts'

/** What is told of a stream whose request has ended, when it closes. */
async function toldAtClose(isAnswered: boolean, rstCode: number): Promise<readonly string[]> {
  const told: string[] = []
  const stream = Object.assign(new PassThrough({ autoDestroy: false }), { rstCode })
  const to = {
    step: ({ type }: { readonly type: string }) => void told.push(type),
    hostFailed: () => {},
    paused: new PausedSockets(),
  }
  const http2 = stream as unknown as ServerHttp2Stream
  const client = new StreamClient(1 as ClientId, http2, true, to, () => {})
  if (isAnswered) client.end()
  await until(() => stream.writableFinished === isAnswered)
  stream.emit('close')
  return told
}

test('a stream that is over on both sides is not broken', async () => {
  expect(await toldAtClose(true, 0)).toEqual(['client-finished'])
})

test('one that was not answered, or was reset, is', async () => {
  expect(await toldAtClose(false, 0)).toEqual(['client-broken'])
  expect(await toldAtClose(true, 8)).toEqual(['client-finished', 'client-broken'])
})
