/** nginx as a UDP proxy, where Debian's packages `nginx-light` and `libnginx-mod-stream` put it. */
import { spawn } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface Nginx {
  readonly pid: number
  readonly port: number
  stop(): Promise<void>
}

/** A string says why there is none. */
export async function startNginx(upstreamPort: number): Promise<Nginx | string> {
  const missing = [PROGRAM, STREAM].find((path) => !existsSync(path))
  if (missing !== undefined) return `${missing} is not installed`
  const directory = await mkdtemp(join(tmpdir(), 'weir-bench-nginx-'))
  const port = await freePort()
  await writeFile(join(directory, 'nginx.conf'), configuration(directory, port, upstreamPort))
  const child = spawn(PROGRAM, ['-p', directory, '-c', 'nginx.conf', '-e', 'error.log'], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const ended = once(child, 'exit')
  const stop = async (): Promise<void> => {
    child.kill()
    await ended
    await rm(directory, { recursive: true, force: true })
  }
  if (child.pid !== undefined) return { pid: child.pid, port, stop }
  await rm(directory, { recursive: true, force: true })
  return `${PROGRAM} does not start`
}

/** One process, as Weir is one, with room for as many datagrams to wait. */
const configuration = (directory: string, port: number, upstreamPort: number): string => `
daemon off;
master_process off;
pid ${directory}/nginx.pid;
load_module ${STREAM};
events { worker_connections 4096; }
stream {
  server {
    listen 127.0.0.1:${port} udp rcvbuf=4m sndbuf=4m;
    proxy_pass 127.0.0.1:${upstreamPort};
    proxy_timeout 30s;
  }
}
`

/** nginx has no port for the kernel to choose. */
async function freePort(): Promise<number> {
  const socket = createSocket('udp4')
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  const { port } = socket.address()
  socket.close()
  await once(socket, 'close')
  return port
}

const PROGRAM = '/usr/sbin/nginx'
const STREAM = '/usr/lib/nginx/modules/ngx_stream_module.so'
