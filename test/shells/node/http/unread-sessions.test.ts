/** Clients of HTTP/2 that take nothing from their connection any more. */
import { beforeEach, expect, test, vi } from 'vitest'
import { until } from '../listener/fixture.ts'
import { FrameClient, TYPE } from './frames.ts'
import { flood, type Served, serve, startHttp } from './served.ts'

/** Time goes on as it does, and faster where the test says so. */
beforeEach(() => {
  vi.useFakeTimers({
    toFake: ['setTimeout', 'clearTimeout', 'performance'],
    shouldAdvanceTime: true,
  })
  return () => vi.useRealTimers()
})

/** It grants all room there is, asks for what never ends, and stops reading its socket. */
async function startUnread(): Promise<Served> {
  const web = await startHttp((_request, response) => void flood(response))
  const served = await serve([web.port], { http: { bodyTimeoutMs: 60_000 } })
  const most = Buffer.from([0, 4, 0x7f, 0xff, 0xff, 0xff]) // SETTINGS_INITIAL_WINDOW_SIZE
  const client = new FrameClient(served.port, most)
  client.send(TYPE.window, 0, 0, Buffer.from([0x7f, 0xfe, 0, 0]))
  client.request(1, 'GET', true)
  await until(() => client.of(1).length > 10)
  client.socket.pause()
  await until(() => [...web.sockets].some((socket) => socket.writableLength > 0))
  return served
}

const liveOf = ({ node }: Served): number => node.listeners.httpCounters().clients.live

test('the session ends when the client could not be told the end of its stream for a while', async () => {
  const served = await startUnread()
  await vi.advanceTimersByTimeAsync(60_000)
  await until(() => served.exchanges.length === 1)
  expect(served.exchanges[0]!.outcome).toBe('request-timeout')
  expect(liveOf(served)).toBe(1)
  await vi.advanceTimersByTimeAsync(5_000)
  await until(() => liveOf(served) === 0)
})

test('also when its port is closed meanwhile', async () => {
  const served = await startUnread()
  await served.node.unbind(served.socket)
  expect(liveOf(served)).toBe(1)
  await vi.advanceTimersByTimeAsync(60_000)
  await until(() => served.exchanges.length === 1)
  await vi.advanceTimersByTimeAsync(5_000)
  await until(() => liveOf(served) === 0)
})
