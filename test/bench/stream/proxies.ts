/** nginx and haproxy as TCP proxies, where Debian's packages put them; one worker each. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePorts } from '../../system/running-node.ts'

export interface Proxy {
  readonly pid: number
  readonly plain: number
  /** Where TLS ends. */
  readonly tls: number
  stop(): Promise<void>
}

export type ProxyName = 'nginx' | 'haproxy'

interface Place {
  readonly directory: string
  /** Of `default.crt` and `default.key`. */
  readonly certificates: string
  readonly plain: number
  readonly tls: number
  readonly upstream: number
}

interface Kind {
  readonly needs: readonly string[]
  readonly words: (directory: string) => readonly string[]
  readonly configuration: (place: Place) => string
}

/** A string says why there is none. */
export async function startProxy(
  name: ProxyName,
  upstream: number,
  certificates: string,
): Promise<Proxy | string> {
  const { needs, words, configuration } = KINDS[name]
  const missing = needs.find((path) => !existsSync(path))
  if (missing !== undefined) return `${missing} is not installed`
  const directory = await mkdtemp(join(tmpdir(), `weir-bench-${name}-`))
  const [plain = 0, tls = 0] = await freePorts(2)
  const place = { directory, certificates, plain, tls, upstream }
  await writeFile(join(directory, 'configuration'), configuration(place))
  await writePair(directory, certificates)
  const [program = ''] = needs
  const child = spawn(program, words(directory), { stdio: ['ignore', 'ignore', 'inherit'] })
  let hasEnded = false
  const ended = once(child, 'exit').then(() => {
    hasEnded = true
  })
  const stop = async (): Promise<void> => {
    child.kill()
    await ended
    await rm(directory, { recursive: true, force: true })
  }
  for (const port of [plain, tls]) {
    while (!hasEnded && !(await accepts(port)));
  }
  if (!hasEnded) return { pid: child.pid as number, plain, tls, stop }
  await stop()
  return `${program} does not start`
}

/** haproxy reads a certificate and its key from one file. */
async function writePair(directory: string, certificates: string): Promise<void> {
  const read = (ending: string) => readFile(join(certificates, `default.${ending}`), 'utf8')
  await writeFile(join(directory, 'pair.pem'), (await read('crt')) + (await read('key')), {
    mode: 0o600,
  })
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port })
    socket.on('connect', () => socket.destroy())
    socket.on('error', () => setTimeout(resolve, 20, false))
    socket.on('close', (hasFailed) => {
      if (!hasFailed) resolve(true)
    })
  })
}

const STREAM = '/usr/lib/nginx/modules/ngx_stream_module.so'

const KINDS: Readonly<Record<ProxyName, Kind>> = {
  nginx: {
    needs: ['/usr/sbin/nginx', STREAM],
    words: (directory) => ['-p', directory, '-c', 'configuration', '-e', 'error.log'],
    // The buffer is as large as what Weir reads at once; nginx's own default is a quarter of that.
    configuration: ({ directory, certificates, plain, tls, upstream }) => `
daemon off;
master_process off;
pid ${directory}/nginx.pid;
load_module ${STREAM};
events { worker_connections 4096; }
stream {
  proxy_buffer_size 64k;
  server {
    listen 127.0.0.1:${plain} backlog=511;
    proxy_pass 127.0.0.1:${upstream};
  }
  server {
    listen 127.0.0.1:${tls} ssl backlog=511;
    ssl_certificate ${certificates}/default.crt;
    ssl_certificate_key ${certificates}/default.key;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_session_cache none;
    proxy_pass 127.0.0.1:${upstream};
  }
}
`,
  },
  haproxy: {
    needs: ['/usr/sbin/haproxy'],
    words: (directory) => ['-db', '-q', '-f', join(directory, 'configuration')],
    configuration: ({ directory, plain, tls, upstream }) => `
global
  nbthread 1
  maxconn 4096
  ssl-default-bind-options ssl-min-ver TLSv1.2
defaults
  mode tcp
  timeout connect 2s
  timeout client 1h
  timeout server 1h
listen plain
  bind 127.0.0.1:${plain} backlog 511
  server upstream 127.0.0.1:${upstream}
listen tls
  bind 127.0.0.1:${tls} ssl crt ${directory}/pair.pem backlog 511
  server upstream 127.0.0.1:${upstream}
`,
  },
}
