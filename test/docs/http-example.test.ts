/** The HTTP example: its files are what a node takes, and its programs do what they say. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, test } from 'vitest'
import { defaultNodeSettings } from '../../core/spec/node/settings.ts'
import { admitDeployment, loadDeployment } from '../../shells/node/file/deployment-file.ts'
import { loadNodeFile } from '../../shells/node/file/node-file.ts'

const EXAMPLE = fileURLToPath(new URL('../../docs/examples/http/', import.meta.url))
const textOf = (name: string): string => readFileSync(`${EXAMPLE}${name}`, 'utf8')

const PATIENTLY = { timeout: 10_000 }
const children: ChildProcess[] = []
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
})

/** Of a program that runs, its port. */
async function start(program: string, env: Record<string, string>): Promise<number> {
  const child = spawn(process.execPath, [`${EXAMPLE}${program}`], {
    env: { PORT: '0', WEIR_REPLICA: '1', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  children.push(child)
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string]
  return Number(/port (\d+)$/.exec(line)![1])
}

describe('its files', () => {
  test('weir.yaml is admitted without a word', () => {
    expect(loadDeployment(textOf('weir.yaml'), 'f')).toMatchObject({ ok: true, warnings: [] })
    expect(admitDeployment(textOf('weir.yaml'), 'f')).toMatchObject({ ok: true, warnings: [] })
  })

  test('secure.yaml is, by a node with certificates', () => {
    const loaded = loadNodeFile(textOf('node.yaml'), 'n')
    expect(loaded).toMatchObject({
      ok: true,
      warnings: [],
      settings: { certificates: 'certificates' },
    })
    const settings = { ...defaultNodeSettings, certificates: 'certificates' }
    expect(admitDeployment(textOf('secure.yaml'), 'f', settings)).toMatchObject({
      ok: true,
      warnings: [],
    })
    expect(admitDeployment(textOf('secure.yaml'), 'f')).toMatchObject({ ok: false })
  })
})

describe('its programs', () => {
  test('a service says who it is, and what it was told', async () => {
    const port = await start('server.mjs', { WEIR_SERVICE: 'reports' })
    const told = await fetch(`http://127.0.0.1:${port}/today`, {
      headers: { 'x-forwarded-for': '192.0.2.1', 'x-forwarded-proto': 'https' },
    })
    expect(await told.text()).toBe(
      `reports replica 1: /today for 192.0.2.1, who asked https://127.0.0.1:${port}\n`,
    )
    expect(await (await fetch(`http://127.0.0.1:${port}/healthz`)).text()).toBe('ok\n')
    const page = await fetch(`http://127.0.0.1:${port}/`, { headers: { accept: 'text/html' } })
    expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8')
    expect(await page.text()).toContain('new WebSocket')
  })

  test('those who chat hear each other', async () => {
    const port = await start('chat.mjs', {})
    const heard: string[][] = [[], []]
    const sockets = heard.map((lines) => {
      const socket = new WebSocket(`ws://127.0.0.1:${port}/chat`)
      socket.onmessage = ({ data }) => lines.push(String(data))
      return socket
    })
    const [first, second] = sockets as [WebSocket, WebSocket]
    await expect.poll(() => heard.every((lines) => lines.length === 1), PATIENTLY).toBe(true)
    const long = 'x'.repeat(1000)
    first.send('ahoy')
    second.send(long)
    await expect
      .poll(() => heard.map((lines) => lines.slice(1).toSorted()))
      .toEqual([
        ['somebody: ahoy', `somebody: ${long}`],
        ['somebody: ahoy', `somebody: ${long}`],
      ])
    const closed = once(first, 'close')
    first.close(1000)
    expect((await closed)[0]).toMatchObject({ code: 1000, wasClean: true })
    const gone = once(second, 'close')
    children[0]!.kill('SIGTERM')
    expect((await gone)[0]).toMatchObject({ code: 1001, wasClean: true })
    await once(children[0]!, 'exit')
    expect(children[0]!.exitCode).toBe(0)
    expect(await fetch(`http://127.0.0.1:${port}/`).catch(() => 'closed')).toBe('closed')
  })
})
