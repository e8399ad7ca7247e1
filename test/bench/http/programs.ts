/** nginx and haproxy, where Debian's packages put them, as what serves and as what forwards. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { until } from '../../system/running-node.ts'

export const NGINX = '/usr/sbin/nginx'
export const HAPROXY = '/usr/sbin/haproxy'

export interface Ports {
  readonly plain: number
  /** Where TLS ends, with HTTP/2 offered. */
  readonly tls: number
}

export interface Place extends Ports {
  /** Exists, for this program alone. */
  readonly directory: string
  /** Of `default.crt` and `default.key`. */
  readonly certificates: string
  readonly backend: number
}

export function isInstalled(program: string): boolean {
  try {
    accessSync(program, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** The file of an nginx that answers by itself: a few bytes, or 64 kB at `/large`. */
export async function writeBackend(directory: string, port: number): Promise<void> {
  await writeFile(join(directory, 'large'), Buffer.alloc(65_536, 'x'))
  await writeFile(
    join(directory, 'backend.conf'),
    nginxFile(
      directory,
      `server {
    listen 127.0.0.1:${port} backlog=4096;
    location = /large { root ${directory}; }
    location / { return 200 "hello\\n"; }
  }`,
    ),
  )
}

/** One process, one worker, connections to the backend kept. Resolves when it accepts. */
export async function startNginx(place: Place): Promise<ChildProcess> {
  const { directory, certificates, plain, tls, backend } = place
  const pass = `location / {
      proxy_pass http://backend;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_set_header Host $host;
      proxy_set_header X-Real-IP $remote_addr;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Request-Id $request_id;
      add_header X-Request-Id $request_id;
    }`
  const servers = `upstream backend {
    server 127.0.0.1:${backend};
    keepalive 512;
    keepalive_requests 100000000;
  }
  server { listen 127.0.0.1:${plain} backlog=4096; ${pass} }
  server {
    listen 127.0.0.1:${tls} ssl http2 backlog=4096;
    ssl_certificate ${certificates}/default.crt;
    ssl_certificate_key ${certificates}/default.key;
    ssl_protocols TLSv1.2 TLSv1.3;
    ${pass}
  }`
  await writeFile(join(directory, 'nginx.conf'), nginxFile(directory, servers))
  const words = ['-p', directory, '-c', 'nginx.conf', '-e', 'error.log']
  return started(NGINX, words, [plain, tls])
}

/** The same. */
export async function startHaproxy(place: Place): Promise<ChildProcess> {
  const { directory, certificates, plain, tls, backend } = place
  const read = (ending: string) => readFile(join(certificates, `default.${ending}`), 'utf8')
  // It reads a certificate and its key from one file.
  const pair = (await read('crt')) + (await read('key'))
  await writeFile(join(directory, 'pair.pem'), pair, { mode: 0o600 })
  const file = join(directory, 'haproxy.cfg')
  await writeFile(
    file,
    `
global
  nbthread 1
  maxconn 4096
  ssl-default-bind-options ssl-min-ver TLSv1.2
defaults
  mode http
  timeout connect 2s
  timeout client 1h
  timeout server 1h
  option forwardfor
  http-reuse always
frontend clients
  bind 127.0.0.1:${plain} backlog 4096
  bind 127.0.0.1:${tls} ssl crt ${directory}/pair.pem alpn h2,http/1.1 backlog 4096
  http-request set-header X-Forwarded-Proto %[ssl_fc,iif(https,http)]
  http-request set-header X-Request-Id %[uuid]
  default_backend backend
backend backend
  server only 127.0.0.1:${backend} pool-max-conn 512
`,
  )
  return started(HAPROXY, ['-db', '-q', '-f', file], [plain, tls])
}

/** Resolves when somebody listens there. */
export function listening(port: number, complaint = `nobody listens at ${port}`): Promise<void> {
  return until(
    () =>
      new Promise((resolve) => {
        const socket = connect({ host: '127.0.0.1', port })
        socket.on('connect', () => socket.destroy())
        socket.on('error', () => resolve(false))
        socket.on('close', (hasFailed) => resolve(!hasFailed))
      }),
    () => complaint,
  )
}

async function started(
  program: string,
  words: readonly string[],
  ports: readonly number[],
): Promise<ChildProcess> {
  const child = spawn(program, words, { stdio: ['ignore', 'ignore', 'inherit'] })
  const failed = once(child, 'exit').then(() => {
    throw new Error(`${program} ended`)
  })
  failed.catch(() => {}) // later it is meant to end
  await Promise.race([failed, Promise.all(ports.map((port) => listening(port)))])
  return child
}

const nginxFile = (directory: string, servers: string): string => `
daemon off;
master_process off;
pid ${directory}/nginx.pid;
error_log ${directory}/error.log;
events { worker_connections 8192; }
http {
  access_log off;
  keepalive_requests 100000000;
  sendfile on;
  tcp_nopush on;
  tcp_nodelay on;
  client_body_temp_path ${directory}/body;
  proxy_temp_path ${directory}/proxy;
  fastcgi_temp_path ${directory}/fastcgi;
  uwsgi_temp_path ${directory}/uwsgi;
  scgi_temp_path ${directory}/scgi;
  ${servers}
}
`
