/** Loads of requests: wrk and h2load where Debian's packages have put them, else a little Node. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Agent, get } from 'node:http'
import { get as getSecure, Agent as SecureAgent } from 'node:https'
import { text } from 'node:stream/consumers'
import { isInstalled } from './programs.ts'

export interface Load {
  readonly url: string
  readonly connections: number
  readonly seconds: number
  /** Connections carry one request each. */
  readonly isFresh?: boolean
  readonly host?: string
}

export interface Result {
  readonly requests: number
  readonly perSecond: number
  /** Milliseconds within which that part of the requests was answered. */
  readonly p50: number
  readonly p99: number
  readonly p999: number
}

export const hasWrk = isInstalled('/usr/bin/wrk')
export const hasH2load = isInstalled('/usr/bin/h2load')

/** Rejects when one request is not answered well: such a figure would be worth nothing. */
export const request = (load: Load): Promise<Result> => (hasWrk ? wrk(load) : byNode(load))

async function wrk({ url, connections, seconds, isFresh, host }: Load): Promise<Result> {
  const lines = [...(isFresh ? ['Connection: close'] : []), ...(host ? [`Host: ${host}`] : [])]
  const fields = lines.flatMap((line) => ['-H', line])
  const script = `${import.meta.dirname}/percentiles.lua`
  const words = ['-t1', `-c${connections}`, `-d${seconds}s`, '--timeout', '30s', '-s', script]
  const said = await output('/usr/bin/wrk', [...words, ...fields, url])
  const [, json = ''] = /^figures (.*)$/m.exec(said) ?? []
  if (json === '') throw new Error(`wrk said: ${said}`)
  const figures = JSON.parse(json) as Record<string, number>
  const { requests = 0, us = 0, connections: lost = 0, status = 0 } = figures
  const { p50 = 0, p99 = 0, p999 = 0 } = figures
  if (lost + status > 0 || requests === 0) {
    const failed = `${lost} connections failed, ${status} answers were errors`
    throw new Error(`${requests} requests to ${url}: ${failed}`)
  }
  const perSecond = (requests * 1e6) / us
  return { requests, perSecond, p50: p50 / 1e3, p99: p99 / 1e3, p999: p999 / 1e3 }
}

/** HTTP/2 over TLS, so many streams at a time on each connection. Only means are said. */
export async function requestByHttp2(load: Load, streams: number): Promise<Result> {
  const { url, connections, seconds } = load
  const words = ['-t1', `-c${connections}`, `-m${streams}`, `-D${seconds}`, url]
  const said = await output('/usr/bin/h2load', words)
  const rate = Number(/finished in .*?, ([\d.]+) req\/s/.exec(said)?.[1])
  const [, good, failed] = /(\d+) succeeded, (\d+) failed/.exec(said) ?? []
  const requests = Number(good)
  if (!(requests > 0) || Number(failed) > 0) throw new Error(`h2load said: ${said}`)
  return { requests, perSecond: rate, p50: Number.NaN, p99: Number.NaN, p999: Number.NaN }
}

async function output(program: string, words: readonly string[]): Promise<string> {
  const child = spawn(program, words, { stdio: ['ignore', 'pipe', 'inherit'] })
  const [said] = await Promise.all([text(child.stdout), once(child, 'close')])
  return said
}

/** Slower than most of what it asks: what counts then is the CPU, not the rate. */
async function byNode({ url, connections, seconds, isFresh, host }: Load): Promise<Result> {
  const isSecure = url.startsWith('https:')
  const options = { keepAlive: isFresh !== true, maxSockets: connections }
  const agent = isSecure ? new SecureAgent(options) : new Agent(options)
  const headers = host === undefined ? {} : { host }
  const times: number[] = []
  const startAt = performance.now()
  const endAt = startAt + seconds * 1_000
  const ask = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const askedAt = performance.now()
      const one = (isSecure ? getSecure : get)(
        url,
        { agent: agent as Agent, headers, ...(isSecure ? { rejectUnauthorized: false } : {}) },
        (answer) => {
          if (answer.statusCode !== 200) reject(new Error(`${url} answers ${answer.statusCode}`))
          answer.resume()
          answer.on('end', () => {
            times.push(performance.now() - askedAt)
            resolve()
          })
        },
      )
      one.on('error', reject)
    })
  const client = async (): Promise<void> => {
    while (performance.now() < endAt) await ask()
  }
  await Promise.all(Array.from({ length: connections }, client))
  agent.destroy()
  const perSecond = (times.length * 1_000) / (performance.now() - startAt)
  const sorted = times.sort((a, b) => a - b)
  const part = (share: number): number => sorted[Math.floor(share * sorted.length)] ?? Number.NaN
  return { requests: times.length, perSecond, p50: part(0.5), p99: part(0.99), p999: part(0.999) }
}
