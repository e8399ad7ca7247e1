import { createSocket } from 'node:dgram'
import { createServer } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import {
  listeningInodes,
  portHolder,
  programName,
} from '../../../../../shells/node/listener/socket/port-holder.ts'
import { HOST, listen, refusingPort } from '../fixture.ts'

const V4 = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 111 1 0000000000000000 100 0 0 10 0
   1: 00000000:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 222 1 0000000000000000 100 0 0 10 0
   2: 0100007F:1F92 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 333 1 0000000000000000 20 4 30 10 -1
`
const V6 = `  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000000000000:1F93 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 444 1 0000000000000000 100 0 0 10 0
`
const UDP = `   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  88: 0100007F:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 555 2 0000000000000000 0
  89: 0100007F:0036 0100007F:C350 01 00000000:00000000 00:00000000 00000000     0        0 666 2 0000000000000000 0
`

describe('who listens on a port', () => {
  const rows = [
    { what: 'the same address', table: V4, host: '127.0.0.1', port: 8080, inodes: ['111'] },
    { what: 'another address', table: V4, host: '127.0.0.2', port: 8080, inodes: [] },
    { what: 'we want every address', table: V4, host: '0.0.0.0', port: 8080, inodes: ['111'] },
    { what: 'it has every address', table: V4, host: '127.0.0.1', port: 8081, inodes: ['222'] },
    { what: 'only a connection', table: V4, host: '127.0.0.1', port: 8082, inodes: [] },
    { what: 'a v6 wildcard', table: V6, host: '127.0.0.1', port: 8083, inodes: ['444'] },
    { what: 'nobody', table: V4, host: '127.0.0.1', port: 1, inodes: [] },
    { what: 'no such table', table: '', host: '127.0.0.1', port: 8080, inodes: [] },
    { what: 'a line cut short', table: 'head\n  0: 01', host: '127.0.0.1', port: 1, inodes: [] },
  ]
  for (const { what, table, host, port, inodes } of rows) {
    test(what, () => expect(listeningInodes(table, host, port)).toEqual(inodes))
  }

  const udpRows = [
    { what: 'udp that is bound', port: 53, inodes: ['555'] },
    { what: 'udp that is connected', port: 54, inodes: ['666'] },
  ]
  for (const { what, port, inodes } of udpRows) {
    test(what, () => expect(listeningInodes(UDP, HOST, port, ['07', '01'])).toEqual(inodes))
  }

  const names = [
    { cmdline: '/usr/sbin/nginx\0-g\0daemon off;\0', name: 'nginx' },
    { cmdline: 'nginx: master process /usr/sbin/nginx -c /etc/nginx/nginx.conf\0', name: 'nginx' },
    { cmdline: '/usr/sbin/sshd -D [listener] 0 of 10-100 startups', name: 'sshd' },
    { cmdline: 'bash\0-c\0nc -l 80 # secret\0', name: 'bash' },
    {
      cmdline: '/opt/node\0/srv/app/server.mjs\0--port\x0080\0',
      name: 'node server.mjs',
    },
    { cmdline: 'python3.11\0-m\0http.server\0', name: 'python3.11' },
    { cmdline: 'node\0', name: 'node' },
    { cmdline: '', name: '' },
    { cmdline: `\x1b[2J${'x'.repeat(100)}`, name: `[2J${'x'.repeat(61)}` },
  ]
  for (const { cmdline, name } of names) {
    test(`${JSON.stringify(cmdline.slice(0, 40))} is called ${name}`, () =>
      expect(programName(cmdline)).toBe(name))
  }

  test('a program is named with its pid', async () => {
    const server = createServer()
    const port = await listen(server)
    onTestFinished(() => void server.close())
    expect(await portHolder(HOST, port, 'tcp')).toMatch(
      new RegExp(`^\\S.* \\(pid ${process.pid}\\)$`),
    )
  })

  test('a program that has a udp port is named, and not asked for tcp', async () => {
    const socket = createSocket('udp4')
    onTestFinished(() => void socket.close())
    const port = await new Promise<number>((resolve) =>
      socket.bind(0, HOST, () => resolve(socket.address().port)),
    )
    expect(await portHolder(HOST, port, 'udp')).toContain(`(pid ${process.pid})`)
    expect(await portHolder(HOST, port, 'tcp')).toBeUndefined()
  })

  test("IPv4 is in nobody's way who wants IPv6 alone", async () => {
    const server = createServer()
    const port = await listen(server)
    onTestFinished(() => void server.close())
    expect(await portHolder('::', port, 'tcp')).toBeUndefined()
    expect(await portHolder('0.0.0.0', port, 'tcp')).toContain(`(pid ${process.pid})`)
  })

  test('a free port has no holder', async () => {
    expect(await portHolder(HOST, await refusingPort(), 'tcp')).toBeUndefined()
  })
})
