import { describe, expect, test } from 'vitest'
import type { NodeEvent } from '../../../../core/node/events.ts'
import type { Deployment } from '../../../../core/spec/deployment.ts'
import type { SettledAnswer } from '../../../../shells/node/operator/api.ts'
import { OperatorDesk } from '../../../../shells/node/operator/desk.ts'

const SHOP = { name: 'shop' } as Deployment
const READY: SettledAnswer = { outcome: 'ready', problems: [] }

function desk() {
  const sent: NodeEvent[] = []
  const desk = new OperatorDesk((event) => sent.push(event))
  const answers: (SettledAnswer | undefined)[] = []
  const wait = (known = true) =>
    desk.whenSettled(
      'shop',
      () => known,
      (settled) => answers.push(settled),
    )
  const settle = () => desk.apply({ type: 'settled', deployment: 'shop', ...READY })
  const reply = (request: number, ok: boolean) =>
    desk.apply({
      type: 'reply',
      request,
      result: ok ? { ok, text: 'yes' } : { ok, code: 'conflict', text: 'no' },
    })
  return { desk, sent, answers, wait, settle, reply }
}

describe('requests', () => {
  test('each gets the answer with its number', async () => {
    const { desk: front, sent, reply } = desk()
    const first = front.ask({ type: 'scale', service: 'web', replicas: 2 })
    const second = front.ask({ type: 'restart', service: 'web' })
    expect(sent).toEqual([
      { type: 'scale', service: 'web', replicas: 2, request: 1 },
      { type: 'restart', service: 'web', request: 2 },
    ])
    reply(2, false)
    reply(1, true)
    reply(1, false) // nobody waits for a second answer
    expect(await first).toEqual({ ok: true, text: 'yes' })
    expect(await second).toEqual({ ok: false, code: 'conflict', text: 'no' })
  })

  test('all are answered when the node stops, and later ones at once', async () => {
    const { desk: front, sent, answers, wait } = desk()
    const open = front.ask({ type: 'remove', deployment: 'shop' })
    wait()
    front.stop()
    await front.stopped
    expect(await open).toMatchObject({ ok: false, code: 'stopping' })
    expect(await front.ask({ type: 'remove', deployment: 'shop' })).toMatchObject({
      code: 'stopping',
    })
    expect(sent).toHaveLength(1)
    wait()
    const stopped = { outcome: 'failed', problems: ['the node has stopped'] }
    expect(answers).toEqual([stopped, stopped])
  })

  test('more than can wait are refused', async () => {
    const { desk: front } = desk()
    for (let each = 0; each < 1_024; each++) void front.ask({ type: 'restart', service: 'web' })
    expect(await front.ask({ type: 'restart', service: 'web' })).toMatchObject({ ok: false })
  })
})

describe('settled deployments', () => {
  test('who waits is told once; who comes later, at once; until the next deploy', async () => {
    const { desk: front, answers, wait, settle, reply } = desk()
    wait()
    expect(answers).toEqual([])
    settle()
    expect(answers).toEqual([READY])
    wait()
    expect(answers).toEqual([READY, READY])
    const deployed = front.deploy({ type: 'deploy', deployment: SHOP, directory: '/' })
    reply(1, true)
    await deployed
    wait()
    expect(answers).toHaveLength(2)
    settle()
    expect(answers).toHaveLength(3)
  })

  test('a refused deploy changes nothing, also for who asked in between', async () => {
    const { desk: front, answers, wait, settle, reply } = desk()
    settle()
    const deployed = front.deploy({ type: 'deploy', deployment: SHOP, directory: '/' })
    wait()
    expect(answers).toEqual([])
    reply(1, false)
    await deployed
    expect(answers).toEqual([READY])
  })

  test('a deploy that settles in the very step that accepts it is not missed', async () => {
    const { desk: front, answers, wait, settle, reply } = desk()
    const deployed = front.deploy({ type: 'deploy', deployment: SHOP, directory: '/' })
    reply(1, true)
    settle()
    await deployed
    wait()
    expect(answers).toEqual([READY])
  })

  test('an unknown one, or one that is removed, is nothing to wait for', async () => {
    const { desk: front, answers, wait, reply } = desk()
    wait(false)
    expect(answers).toEqual([undefined])
    wait()
    const removed = front.remove('shop')
    reply(1, true)
    await removed
    expect(answers).toEqual([undefined, undefined])
  })

  test('every settlement is news to those who listen, until they leave', () => {
    const { desk: front, settle } = desk()
    const news: unknown[] = []
    const leave = front.onSettled((each) => news.push(each))
    settle()
    settle()
    leave()
    settle()
    const ready = { deployment: 'shop', outcome: 'ready', problems: [] }
    expect(news).toEqual([ready, ready])
  })

  test('who leaves is not called', () => {
    const { answers, wait, settle } = desk()
    wait()()
    settle()
    expect(answers).toEqual([])
  })
})

describe('notices', () => {
  const notice = (text: string) =>
    ({ type: 'notice', level: 'info', code: 'healthy', text }) as const

  test('reach readers of events with what the shell says, listeners without', () => {
    const { desk: front } = desk()
    const events: string[] = []
    const notices: string[] = []
    front.apply(notice('early'))
    front.onEvent(({ text, code }) => events.push(`${code} ${text}`))
    front.onNotice(({ text }) => notices.push(text))
    front.say('warn', 'the disk is full')
    front.apply(notice('late'))
    expect(events).toEqual(['shell the disk is full', 'healthy late'])
    expect(notices).toEqual(['early', 'late'])
    expect(front.recentEvents().map(({ text }) => text)).toEqual([
      'early',
      'the disk is full',
      'late',
    ])
    const second: string[] = []
    front.onNotice(({ text }) => second.push(text))
    expect(second).toEqual([])
  })

  test('the last thousand are kept', () => {
    const { desk: front } = desk()
    for (let each = 0; each < 3_500; each++) front.say('info', String(each))
    const kept = front.recentEvents()
    expect(kept).toHaveLength(1_000)
    expect(kept[0]?.text).toBe('2500')
    expect(kept.at(-1)?.text).toBe('3499')
  })

  test('a listener may leave while it is called', () => {
    const { desk: front } = desk()
    const seen: string[] = []
    const leave = front.onEvent(({ text }) => {
      seen.push(text)
      leave()
    })
    front.onEvent(({ text }) => seen.push(`second ${text}`))
    front.say('info', 'a')
    front.say('info', 'b')
    expect(seen).toEqual(['a', 'second a', 'second b'])
  })
})
