/** What curl asks through a node, by every version of HTTP, and what it gets. */
import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { freePorts, missing, type RunningNode } from '../../running-node.ts'
import { titleOf } from '../../stream/peers/nodes.ts'
import { curl, type Got } from '../peers/curl.ts'
import { deploymentOf, originService, startHttpNode } from '../peers/nodes.ts'
import type { Seen } from '../peers/programs/origin.ts'

const noCurl = missing('curl')

let node: RunningNode
let [plain, tls, h2c, behind, old]: readonly number[] = []

beforeAll(async () => {
  if (noCurl !== undefined) return
  ;[plain, tls, h2c, behind, old] = await freePorts(5)
  const file = deploymentOf(
    originService('site', [
      `name: tls, protocol: https, port: ${tls}`,
      `name: web, protocol: http, port: ${plain}`,
      `name: behind, protocol: http, port: ${behind}, stream: { accept_proxy_protocol: [127.0.0.1/32] }`,
      `name: old, protocol: http, port: ${old}, http: { redirect_https: true }`,
    ]),
    originService('rpc', [`name: h2c, protocol: http, port: ${h2c}, http: { backend: h2c }`]),
    originService('admin', [
      `name: web, protocol: http, port: ${plain}, host: admin.example`,
      `name: wild, protocol: http, port: ${plain}, host: '*.example'`,
    ]),
    originService('api', [
      `name: web, protocol: http, port: ${plain}, path: /api, http: { strip_prefix: true }`,
      `name: kept, protocol: http, port: ${plain}, path: /api/v2`,
    ]),
    originService('none', [`name: web, protocol: http, port: ${plain}, path: /none`], {
      scale: 'mode: fixed, replicas: 0',
    }),
  )
  node = await startHttpNode({ 'weir.yaml': file })
})
afterAll(() => node?.stop())

/** How curl comes, and which version the program then sees. */
const ways = () => {
  const resolve = ['--resolve', `default.example:${tls}:127.0.0.1`]
  return [
    { words: ['--http1.0'], base: `http://127.0.0.1:${plain}`, version: '1.1', seen: '1.1' },
    { words: ['--http1.1'], base: `http://127.0.0.1:${plain}`, version: '1.1', seen: '1.1' },
    {
      words: ['--http2-prior-knowledge'],
      base: `http://127.0.0.1:${plain}`,
      version: '2',
      seen: '1.1',
    },
    {
      words: ['--http1.1', ...resolve],
      base: `https://default.example:${tls}`,
      version: '1.1',
      seen: '1.1',
    },
    {
      words: ['--http2', ...resolve],
      base: `https://default.example:${tls}`,
      version: '2',
      seen: '1.1',
    },
    { words: ['--http1.1'], base: `http://127.0.0.1:${h2c}`, version: '1.1', seen: '2.0' },
    {
      words: ['--http2-prior-knowledge'],
      base: `http://127.0.0.1:${h2c}`,
      version: '2',
      seen: '2.0',
    },
  ] as const
}

const told = ({ body }: Got): Seen => JSON.parse(body) as Seen

describe.skipIf(noCurl !== undefined)(titleOf('curl', noCurl), () => {
  test('GET by HTTP/1.0, 1.1, h2 and h2c, to programs that speak 1.1 and h2c', async () => {
    for (const { words, base, version, seen } of ways()) {
      const got = await curl(...words, `${base}/who?a=%2f`)
      expect(got, `${words} ${base}`).toMatchObject({ code: 0, status: 200, version })
      const { url, protocol, headers } = told(got)
      expect({ url, protocol }).toEqual({ url: '/who?a=%2f', protocol: seen })
      const scheme = base.startsWith('https') ? 'https' : 'http'
      expect(headers).toMatchObject({
        'x-forwarded-for': '127.0.0.1',
        'x-forwarded-proto': scheme,
        'x-real-ip': '127.0.0.1',
      })
      expect(got.fields['server-timing']).toMatch(/^proxy;dur=[\d.]+$/)
      expect(got.fields['strict-transport-security'] !== undefined).toBe(scheme === 'https')
    }
  })

  test('HEAD has the head of GET and nothing after it; 204 has nothing', async () => {
    for (const { words, base, version } of ways()) {
      const sized = `${base}/bytes?bytes=1000&length`
      const head = await curl(...words, '-I', sized)
      expect(head).toMatchObject({ code: 0, statuses: [200], version })
      expect(head.fields['content-length']).toBe('1000')
      expect(await curl(...words, `${base}/empty`)).toMatchObject({
        code: 0,
        status: 204,
        body: '',
      })
    }
  })

  test('uploads with a length and in chunks, and answers of both kinds', async () => {
    const bytes = randomBytes(300_000)
    const file = join(node.directory, 'upload')
    await writeFile(file, bytes)
    for (const { words, base } of ways()) {
      // there are no chunks in HTTP/1.0
      const kinds = words[0] === '--http1.0' ? [[]] : [[], ['-H', 'Transfer-Encoding: chunked']]
      for (const kind of kinds) {
        const sent = [...words, ...kind, '-H', 'Expect:', '--data-binary', `@${file}`]
        const echo = await curl(...sent, `${base}/echo`)
        expect(echo, `${sent} ${base}`).toMatchObject({ code: 0, status: 200 })
        expect(Buffer.from(echo.body, 'latin1').equals(bytes)).toBe(true)
      }
      const download = await curl(...words, `${base}/bytes?bytes=300000`)
      expect(download).toMatchObject({ code: 0, status: 200 })
      expect(download.body).toHaveLength(300_000)
    }
  })

  test('Expect: 100-continue is asked of the program, and its answer waited for', async () => {
    for (const { words, base } of ways().slice(1)) {
      const expecting = [...words, '-H', 'Expect: 100-continue', '--expect100-timeout', '50']
      const got = await curl(...expecting, '-d', 'some words', `${base}/echo`)
      expect(got, `${words} ${base}`).toMatchObject({ code: 0, status: 200, body: 'some words' })
      if (words[0] === '--http1.1') expect(got.statuses).toEqual([100, 200])
    }
  })

  test('interim answers come before the final one', async () => {
    const early = await curl('--http1.1', `http://127.0.0.1:${plain}/early`)
    expect(early).toMatchObject({ statuses: [103, 200], body: 'late' })
    expect(await curl('--http2', `https://localhost:${tls}/early`)).toMatchObject({
      statuses: [103, 200],
    })
    // RFC 9110, 15.2: never to a client of HTTP/1.0
    const old = await curl('--http1.0', `http://127.0.0.1:${plain}/early`)
    expect(old).toMatchObject({ statuses: [200], body: 'late' })
  })

  test('trailers of answers come through', async () => {
    for (const { words, base } of ways().slice(1)) {
      const got = await curl(...words, `${base}/trailers`)
      expect(got, `${words} ${base}`).toMatchObject({ code: 0, body: 'body' })
      expect(got.trailers).toEqual({ 'x-checksum': '0b0d' })
    }
  })

  test('a range of it', async () => {
    for (const { words, base } of ways()) {
      const got = await curl(...words, '-r', '3-5', `${base}/range`)
      expect(got).toMatchObject({ code: 0, status: 206, body: 'def' })
      expect(got.fields['content-range']).toBe('bytes 3-5/26')
    }
  })

  test('redirect_https: told to go to https, with path and query, and going', async () => {
    const first = await curl(`http://localhost:${old}/who?a=b`)
    expect(first).toMatchObject({ status: 308 })
    expect(first.fields.location).toBe(`https://localhost:${tls}/who?a=b`)
    const posted = await curl('-L', '-d', 'kept', `http://localhost:${old}/echo`)
    expect(posted).toMatchObject({ code: 0, statuses: [308, 200], version: '2', body: 'kept' })
  })

  test('proxy W12: hosts and paths lead to services', async () => {
    const base = `http://127.0.0.1:${plain}`
    const to = async (path: string, host?: string) => {
      const words = host === undefined ? [] : ['-H', `Host: ${host}`]
      const { service, url } = told(await curl('--path-as-is', ...words, base + path))
      return `${service} ${url}`
    }
    expect(await to('/')).toBe('site /')
    expect(await to('/', 'ADMIN.example:8080')).toBe('admin /')
    expect(await to('/', 'other.example')).toBe('admin /')
    expect(await to('/', 'a.b.example')).toBe('site /')
    expect(await to('/api')).toBe('api /')
    expect(await to('/api/users?all')).toBe('api /users?all')
    expect(await to('/apiary')).toBe('site /apiary')
    expect(await to('/api/v2/users')).toBe('api /api/v2/users')
    expect(await to('/%61pi/users')).toBe('api /users')
    expect(await curl('--path-as-is', `${base}/x/../api`)).toMatchObject({ status: 400 })
  })

  test('404 and 503 say why, as JSON, or as a page to those who read HTML', async () => {
    const html = ['-H', 'Accept: text/html,*/*;q=0.8']
    const nowhere = await curl(`https://localhost:${tls}/`, '-H', 'Host: [::1]')
    expect(nowhere.status).toBe(200) // any host
    const none = await curl(`http://127.0.0.1:${plain}/none/at/all`)
    expect(none).toMatchObject({ code: 0, status: 503 })
    expect(none.fields).toMatchObject({ 'content-type': 'application/problem+json' })
    expect(Number(none.fields['retry-after'])).toBeGreaterThan(0)
    expect(JSON.parse(none.body)).toMatchObject({ status: 503 })
    const page = await curl(...html, `http://127.0.0.1:${plain}/none/<script>`)
    expect(page).toMatchObject({ status: 503 })
    expect(page.fields['content-type']).toMatch(/^text\/html/)
    expect(page.body).not.toMatch(/<script>|none|served/)
    for (const version of ['--http1.1', '--http2-prior-knowledge']) {
      const broken = await curl(version, '-d', 'x', `http://127.0.0.1:${plain}/broken`)
      expect(broken, version).toMatchObject({ code: 0, status: 502 })
      expect(JSON.parse(broken.body)).toMatchObject({ status: 502 })
    }
  })

  test('PROXY protocol in front says who the client is, and must', async () => {
    const base = `http://127.0.0.1:${behind}/who`
    const got = await curl('--haproxy-protocol', base)
    expect(told(got).headers).toMatchObject({ 'x-forwarded-for': '127.0.0.1' })
    expect(await curl(base)).toMatchObject({ status: 0 })
    const far = await curl('--interface', '127.0.0.9', base) // nobody who is believed, and needs none
    expect(told(far).headers).toMatchObject({ 'x-forwarded-for': '127.0.0.9' })
  })

  test('a body that nobody waited for harms nothing that comes after it', async () => {
    const file = join(node.directory, 'unread')
    await writeFile(file, Buffer.alloc(2_000_000, 'a'))
    for (const { words, base, version } of ways()) {
      // Debian's curl takes the RST_STREAM of RFC 9113, 8.1, for an error; see large-bodies.test.ts
      if (version === '2') continue
      const sent = [...words, '-H', 'Expect:', '--data-binary', `@${file}`, `${base}/small`]
      const got = await curl(...sent, '-o', '/dev/null', `${base}/small`)
      expect(got, `${words} ${base}`).toMatchObject({ code: 0, statuses: [200, 200] })
    }
  })

  test('several requests on one connection, each with its answer', async () => {
    for (const { words, base } of ways()) {
      if (words[0] === '--http1.0' || words[0] === '--http2-prior-knowledge') continue
      const urls = Array.from({ length: 20 }, (_, number) => `${base}/who?${number}`)
      const rest = urls.slice(1).flatMap((url) => ['-o', '/dev/null', url])
      const got = await curl(...words, '-w', '%{num_connects}', String(urls[0]), ...rest)
      expect(got.statuses, `${words} ${base}`).toEqual(urls.map(() => 200))
      expect(got.printed).toBe(`1${'0'.repeat(19)}`)
    }
  })
})
