import { expect, onTestFinished, test, vi } from 'vitest'
import { FlowTable } from '../../../../core/udp/table.ts'
import {
  backend,
  connectClient,
  Peer,
  startBackend,
  startEcho,
  startListener,
  until,
} from './dgram-fixture.ts'

/** The next step of any machine throws. */
function breakOnce(): void {
  const step = vi.spyOn(FlowTable.prototype, 'step')
  onTestFinished(() => step.mockRestore())
  step.mockImplementationOnce(() => {
    throw new Error('a broken machine')
  })
}

test('a machine that throws lets go of everything, says so, and another takes its place', async () => {
  const [slow, echo] = [await startBackend(() => []), await startEcho()]
  const { fixture, port } = await startListener({ backends: [backend('a', slow.port)] })
  const client = await connectClient(port)
  await client.ask('question', () => slow.received.length > 0)
  fixture.apply([backend('b', echo.port)])
  expect(fixture.said('backend-drained')).toEqual([]) // an answer is owed
  const before = await fixture.counters()
  breakOnce()
  client.send('the last')
  await until(() => fixture.hostFailures.length === 1)
  expect(fixture.hostFailures[0]).toMatch(
    /^Error: a broken machine .*; the listener is opened again$/,
  )
  expect(fixture.said('backend-drained')).toEqual([
    { type: 'backend-drained', backend: 'a', version: 2 },
  ])
  const between = await fixture.counters()
  expect(between.flowsLive).toBe(0)
  expect(between.machine.closed.aborted).toBe(1)
  expect(between.machine.datagramsUp).toBe(before.machine.datagramsUp)
  await client.exchange('again', 'again') // on the same port
  expect((await fixture.counters()).machine.created).toBe(2)
  await expect(fixture.listener.listen('127.0.0.1', 0)).rejects.toThrow('listening already')
  await fixture.listener.close()
  await new Peer().bind('127.0.0.1', port)
})

test.each(['abort', 'stop'] as const)(
  '%s of a broken listener: it is over at once',
  async (end) => {
    const { fixture, port } = await startListener({ backends: [backend('a', 9)] })
    breakOnce()
    fixture.apply([])
    expect(fixture.hostFailures.length).toBe(1)
    if (end === 'abort') fixture.listener.abort()
    await fixture.host.stop()
    expect(fixture.said('emptied').length).toBe(1)
    await new Peer().bind('127.0.0.1', port)
  },
)

test('a listener that breaks as it closes has let go of its port, and empties', async () => {
  const { fixture, port } = await startListener({ backends: [backend('a', 9)] })
  breakOnce()
  await fixture.listener.close()
  await new Peer().bind('127.0.0.1', port)
  fixture.apply([])
  await until(() => fixture.said('emptied').length === 1)
})
