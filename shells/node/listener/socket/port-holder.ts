/** Who listens on a port of this machine, as far as Linux tells us. */
import { readdir, readFile, readlink } from 'node:fs/promises'

/**
 * `nginx (pid 71)` for a program that keeps `port` from being bound on `host`; undefined where
 * the system does not say: another user's process, another network namespace, not Linux.
 */
export async function portHolder(
  host: string,
  port: number,
  protocol: 'tcp' | 'udp',
): Promise<string | undefined> {
  // A socket of IPv6 has no part of IPv4 here; one of somebody else may have both.
  const families = host.includes(':') ? ['6'] : ['', '6']
  const paths = families.map((family) => `/proc/net/${protocol}${family}`)
  const find = async (): Promise<readonly string[]> => {
    const tables = await Promise.all(paths.map(readText))
    return tables.flatMap((table) => listeningInodes(table, host, port, STATES[protocol]))
  }
  let inodes = await find()
  // A long table is read in pieces, and what comes and goes meanwhile makes it skip lines.
  if (inodes.length === 0) inodes = await find()
  if (inodes.length === 0) return undefined
  const targets = new Set(inodes.map((inode) => `socket:[${inode}]`))
  for (const pid of await list('/proc')) {
    if (!/^\d+$/.test(pid) || !(await holdsOne(pid, targets))) continue
    const name = programName(await readText(`/proc/${pid}/cmdline`))
    return `${name || (await readText(`/proc/${pid}/comm`)).trim() || 'a program'} (pid ${pid})`
  }
  return undefined
}

/**
 * `nginx`, or `node server.mjs` of a program that is run by another: the command line, its words ended
 * by NUL. A process may write there what it likes, and threads name themselves: `comm` of Node is
 * `MainThread`.
 */
export function programName(cmdline: string): string {
  const [first = '', second = ''] = cmdline.split('\0')
  // A title of its own making, such as `nginx: master process /usr/sbin/nginx`, is one word.
  const program = baseName(first.split(/[: ]/, 1)[0] ?? '')
  // What follows an option may be anything, the text of a script with its secrets for one.
  const isScript = INTERPRETERS.test(program) && /^[^-]/.test(second)
  const name = isScript ? `${program} ${baseName(second)}` : program
  return name.replace(/\p{Cc}/gu, '').slice(0, NAME_MAX)
}

const baseName = (path: string): string => path.slice(path.lastIndexOf('/') + 1)

const INTERPRETERS = /^(node|deno|bun|python[\d.]*|ruby|perl|php|java|(ba|da|z)?sh)$/
const NAME_MAX = 64

/**
 * Inodes of sockets in one of these states that stand in the way of `host:port`, from the text of
 * `/proc/net/tcp` and the like (proc_pid_net(5)).
 */
export function listeningInodes(
  table: string,
  host: string,
  port: number,
  states: readonly string[] = STATES.tcp,
): string[] {
  const inodes: string[] = []
  for (const line of table.split('\n').slice(1)) {
    const [, local = '', , state, , , , , , inode] = line.trim().split(/\s+/)
    const [address = '', portHex = ''] = local.split(':')
    if (
      !states.includes(state ?? '') ||
      Number.parseInt(portHex, 16) !== port ||
      inode === undefined
    )
      continue
    if (collides(address, host)) inodes.push(inode)
  }
  return inodes
}

/** Two v4 addresses collide when equal or when one is the wildcard; anything else may. */
function collides(addressHex: string, host: string): boolean {
  const quad = host.split('.')
  const comparable = addressHex.length === 8 && quad.length === 4 && host !== '0.0.0.0'
  if (!comparable || addressHex === '00000000') return true
  // The kernel prints the address as a native integer.
  const bytes = addressHex.match(/../g)?.map((byte) => Number.parseInt(byte, 16)) ?? []
  const printed = LITTLE_ENDIAN ? bytes.reverse() : bytes
  return printed.join('.') === host
}

async function holdsOne(pid: string, targets: ReadonlySet<string>): Promise<boolean> {
  const directory = `/proc/${pid}/fd`
  const links = (await list(directory)).map((fd) => readlink(`${directory}/${fd}`).catch(() => ''))
  for (const link of await Promise.all(links)) if (targets.has(link)) return true
  return false
}

// Processes end while we look, and others do not let us: neither is an error.
const readText = (path: string): Promise<string> => readFile(path, 'utf8').catch(() => '')
const list = (path: string): Promise<string[]> => readdir(path).catch(() => [])

/** tcp: LISTEN. udp: bound, and connected ones too: each has its port. */
const STATES = { tcp: ['0A'], udp: ['07', '01'] } as const
const LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1
