/** Clients of HTTP/2 that take nothing from their connection any more. */
import { expect, test } from 'vitest'
import { until } from '../listener/fixture.ts'
import { FrameClient, TYPE } from './frames.ts'
import { flood, type Served, serve, startHttp } from './served.ts'

/** It grants all room there is, asks for what never ends, and stops reading its socket. */
async function startUnread(): Promise<Served> {
  const web = await startHttp((_request, response) => void flood(response))
  const served = await serve([web.port], { http: { bodyTimeoutMs: 1_000 } })
  const most = Buffer.from([0, 4, 0x7f, 0xff, 0xff, 0xff]) // SETTINGS_INITIAL_WINDOW_SIZE
  const client = new FrameClient(served.port, most)
  client.send(TYPE.window, 0, 0, Buffer.from([0x7f, 0xfe, 0, 0]))
  client.request(1, 'GET', true)
  await until(() => client.of(1).length > 10)
  client.socket.pause()
  return served
}

const liveOf = ({ node }: Served): number => node.listeners.httpCounters().clients.live

test('the session ends, soon after the stream whose end cannot be told', async () => {
  const served = await startUnread()
  await until(() => served.exchanges.length === 1)
  expect(served.exchanges[0]!.outcome).toBe('request-timeout')
  await until(() => liveOf(served) === 0)
})

test('also when its port was closed before', async () => {
  const served = await startUnread()
  await served.node.unbind(served.socket)
  expect(liveOf(served)).toBe(1)
  await until(() => liveOf(served) === 0)
  expect(served.exchanges[0]!.outcome).toBe('request-timeout')
})
