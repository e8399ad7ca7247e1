import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeDeployment } from '../../../core/spec/decode.ts'
import { everything } from './everything.ts'
import { deploymentOf, fileOf, type Tree, webOf, webWith } from './files.ts'

test('a service that says only what it runs has every default', () => {
  expect(deploymentOf(webWith({})).services.web).toEqual({
    rtype: 'service',
    runtime: 'process',
    command: { entrypoint: [], args: ['web'] },
    env: {},
    envInherit: [],
    endpoints: [],
    scale: { mode: 'adaptive', min: 1, max: 10, cooldownMs: 30_000, idleAfterMs: 0, targets: {} },
    replicaGroups: [],
    depends: [],
    init: { steps: [] },
    errors: { onInitFailure: 'fail', onPanic: 'restart' },
    update: { surgeMax: 1, unavailableMax: 0, readyMinMs: 2000, onFailure: 'pause' },
    stopSignal: 'SIGTERM',
    stopGraceMs: 30_000,
    logs: { destination: 'disk', bytesMax: 104_857_600, retentionMs: 604_800_000 },
    localhostReachability: 'auto',
    portMappings: [],
    storage: [],
    resources: { extra: {} },
    networkMode: 'default',
    labels: {},
    extra: {},
  })
})

test('a file with nothing to run is a deployment', () => {
  expect(deploymentOf({ version: 'v1', deployment: 'abc' })).toEqual({
    version: 'v1',
    name: 'abc',
    services: {},
    externals: {},
    api: { enabled: false, bind: '0.0.0.0:3669', swagger: true },
  })
})

test('an endpoint has the defaults of its protocol', () => {
  const of = (protocol: string) =>
    webOf({ endpoints: [{ name: 'a', protocol, port: 80 }] }).endpoints[0]!
  expect(of('http').balance).toEqual({ strategy: 'round_robin', rise: 1, fall: 3, failOpen: false })
  expect(of('tcp').balance).toEqual({ strategy: 'round_robin', rise: 1, fall: 3, failOpen: true })
  expect(of('udp').balance.strategy).toBe('hrw')
  expect(of('udp').udp?.datagramBytesMax).toBe(65_507)
  expect(of('websocket').http?.headBytesMax).toBe(32_768)
  expect(of('tcp').stream).toEqual({
    tls: 'off',
    proxyProtocol: false,
    acceptProxyProtocol: [],
    connectTimeoutMs: 2000,
    idleTimeoutMs: 3_600_000,
    connectionsMax: 10_000,
    connectionsPerBackendMax: 0,
    holdTimeoutMs: 30_000,
    drainTimeoutMs: 30_000,
  })
  expect([of('tcp').http, of('tcp').udp, of('http').udp, of('udp').http]).toEqual(
    Array.from({ length: 4 }),
  )
})

test('a file that says everything is understood, and is plain JSON', () => {
  const deployment = deploymentOf(everything())
  expect(JSON.parse(JSON.stringify(deployment))).toEqual(deployment)
  expect(deployment.services.db?.extra).toMatchObject({
    ulimits: {
      nofile: { soft: 1024, hard: 1024 },
      core: { soft: 10, hard: 10 },
      nproc: { soft: 0, hard: 0 },
    },
    capabilities: ['NET_ADMIN'],
    deleteOnExit: true,
    overlay: { mode: 'isolated', parent: 'cluster' },
    expose: [
      { port: 9000, protocol: 'tcp' },
      { port: 53, protocol: 'udp' },
    ],
  })
  expect(deployment.services.tidy?.networkMode).toBe('container:abc')
  expect(deployment.services.once?.networkMode).toBe('host')
})

interface Spelling {
  readonly name: string
  readonly keys: Tree
  readonly then: object
}

const args = (...words: string[]) => ({ command: { entrypoint: [], args: words } })
const SPELLINGS: readonly Spelling[] = [
  { name: 'a command as a list', keys: { command: ['a', 'b c', ''] }, then: args('a', 'b c', '') },
  { name: 'a command as a text', keys: { command: "a 'b c' d" }, then: args('a', 'b c', 'd') },
  {
    name: 'a command as a map',
    keys: { command: { entrypoint: ['a'], workdir: 'sub' } },
    then: { command: { entrypoint: ['a'], args: [], workdir: 'sub' } },
  },
  { name: 'env_inherit: true', keys: { env_inherit: true }, then: { envInherit: true } },
  {
    name: 'liveness: true',
    keys: { health: { check: { type: 'command', command: 'x' }, liveness: true } },
    then: { health: { liveness: true } },
  },
  {
    name: 'overlay auto is shared',
    keys: { overlay: {} },
    then: { extra: { overlay: { mode: 'shared' } } },
  },
  {
    name: 'network_mode as a map',
    keys: { network_mode: { bridge: {} } },
    then: { networkMode: 'bridge' },
  },
  {
    name: 'network_mode as a map with a name',
    keys: { network_mode: { bridge: { name: 'br0' } } },
    then: { networkMode: 'bridge:br0' },
  },
  { name: 'host_network', keys: { host_network: true }, then: { networkMode: 'host' } },
  {
    name: 'host_network and network_mode saying the same',
    keys: { host_network: true, network_mode: 'host' },
    then: { networkMode: 'host' },
  },
  {
    name: 'an affinity as a pin',
    keys: { affinity: { pin: 'id=2' } },
    then: { extra: { affinity: { pin: 'id=2' } } },
  },
  { name: 'a signal without SIG', keys: { stop_signal: ' usr1' }, then: { stopSignal: 'SIGUSR1' } },
  {
    name: 'an empty timeout of a dependency is the default',
    keys: { depends: [{ service: 'db', timeout: null }] },
    then: { depends: [{ timeoutMs: 300_000 }] },
  },
  {
    name: 'min may equal max, and be 0',
    keys: { scale: { mode: 'adaptive', min: 1, max: 1 } },
    then: { scale: { min: 1, max: 1 } },
  },
  {
    name: 'no replicas',
    keys: { scale: { mode: 'fixed', replicas: 0 } },
    then: { scale: { replicas: 0 } },
  },
  {
    name: 'max_surge 0 lets one be missing instead',
    keys: { update: { max_surge: 0 } },
    then: { update: { surgeMax: 0, unavailableMax: 1 } },
  },
  {
    name: 'a program with a port of its own is replaced, not doubled',
    keys: { endpoints: [{ name: 'a', protocol: 'tcp', port: 80, target_port: 8080 }] },
    then: { update: { surgeMax: 0, unavailableMax: 1 } },
  },
  {
    name: 'groups say how many replicas there are',
    keys: {
      replica_groups: [
        { role: 'a', count: 1 },
        { role: 'b', count: 2 },
      ],
    },
    then: { scale: { mode: 'fixed', replicas: 3 }, replicaGroups: [{ affinity: 'spread' }, {}] },
  },
]
for (const { name, keys, then } of SPELLINGS) {
  test(name, () => {
    const file = fileOf({ web: { command: ['web'], ...keys }, db: { command: ['db'] } })
    expect(deploymentOf(file).services.web).toMatchObject(then)
  })
}

test('tls: true is terminate, false is off', () => {
  const of = (tls: unknown) =>
    webOf({ endpoints: [{ name: 'a', protocol: 'tcp', port: 80, stream: { tls } }] }).endpoints[0]!
  expect([of(true), of(false), of('passthrough')].map(({ stream }) => stream.tls)).toEqual([
    'terminate',
    'off',
    'passthrough',
  ])
})

const STORAGE: readonly [Tree, object][] = [
  [
    { type: 'bind', source: './a', target: '/a' },
    { type: 'bind', source: './a', target: '/a', readonly: false },
  ],
  [
    { type: 'named', name: 'v', target: '/a' },
    { type: 'named', name: 'v', target: '/a', readonly: false, tier: 'local' },
  ],
  [
    { type: 'anonymous', target: '/a' },
    { type: 'anonymous', target: '/a', tier: 'local' },
  ],
  [
    { type: 'tmpfs', target: '/a', size: '1Mi' },
    { type: 'tmpfs', target: '/a', sizeBytes: 1_048_576 },
  ],
]
for (const [written, read] of STORAGE) {
  test(`storage of type ${written.type} has its defaults`, () => {
    expect(webOf({ storage: [written] }).storage).toEqual([read])
  })
}

test('a port mapping without a host port, or with 0, is ephemeral', () => {
  const { portMappings } = webOf({
    port_mappings: [{ container_port: 80 }, { container_port: 81, host_port: 0, protocol: 'udp' }],
  })
  expect(portMappings).toEqual([
    { containerPort: 80, protocol: 'tcp', hostIp: '0.0.0.0' },
    { containerPort: 81, protocol: 'udp', hostIp: '0.0.0.0' },
  ])
})

describe('properties', () => {
  test('any JSON is answered, never thrown at', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 5 }), (tree) => {
        const decoded = decodeDeployment(tree)
        if (!decoded.ok) expect(decoded.problems.length).toBeGreaterThan(0)
      }),
    )
  })

  test('any JSON in any place of a good file is answered, never thrown at', () => {
    fc.assert(
      fc.property(fc.nat(), fc.jsonValue({ maxDepth: 3 }), (place, value) => {
        const decoded = decodeDeployment(replaced(everything(), place, value))
        if (!decoded.ok) expect(decoded.problems.every(({ message }) => message !== '')).toBe(true)
      }),
      { numRuns: 500 },
    )
  })

  test('the order of keys does not matter', () => {
    const whole = deploymentOf(everything())
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        expect(deploymentOf(shuffled(everything(), seed))).toEqual(whole)
      }),
      { numRuns: 30 },
    )
  })
})

test('a thousand services are decoded in well under a second', () => {
  const services: Tree = {}
  for (let index = 0; index < 1000; index++) {
    services[`web-${index}`] = {
      command: 'node server.mjs',
      endpoints: [{ name: 'http', protocol: 'http', port: 8000 + index, prot: 1 }],
      depends: [{ service: `wbe-${index}` }, { service: `web-${(index + 1) % 1000}` }],
    }
  }
  const decoded = decodeDeployment(fileOf(services))
  // 1000 misspelt keys, 1000 missing services, one cycle; the time is the bench's to judge
  expect(decoded.ok ? 0 : decoded.problems.length).toBe(2001)
})

/** The tree with the value in one of its places. */
function replaced(tree: Tree, place: number, value: unknown): unknown {
  const places: [Record<string, unknown>, string][] = []
  const walk = (node: unknown): void => {
    if (typeof node !== 'object' || node === null) return
    for (const key of Object.keys(node)) {
      places.push([node as Record<string, unknown>, key])
      walk((node as Record<string, unknown>)[key])
    }
  }
  walk(tree)
  const [holder, key] = places[place % places.length]!
  holder[key] = value
  return tree
}

/** The same tree with the keys of every map in another order; lists keep theirs. */
function shuffled(node: unknown, seed: number): unknown {
  if (Array.isArray(node)) return node.map((item) => shuffled(item, seed))
  if (typeof node !== 'object' || node === null) return node
  const rank = (key: string): number => {
    let hash = seed
    for (const character of key) hash = Math.imul(hash ^ character.charCodeAt(0), 2_654_435_761)
    return hash
  }
  const entries = Object.entries(node).sort(([a], [b]) => rank(a) - rank(b))
  return Object.fromEntries(entries.map(([key, value]) => [key, shuffled(value, seed)]))
}
