import { describe, expect, test } from 'vitest'
import { decodeDeployment } from '../../../core/spec/decode.ts'
import { endpointWith, fileOf, problemsOf, type Tree, webOf, webWith } from './files.ts'

describe('what is wrong is said at its place', () => {
  const ROWS: readonly [string, unknown, readonly string[]][] = [
    [
      'a list',
      [],
      [': a deployment file is a map that begins with version: v1, not an empty list'],
    ],
    ['nothing', null, [': a deployment file is a map that begins with version: v1, not nothing']],
    ['a text', 'hello', [': a deployment file is a map that begins with version: v1, not "hello"']],
    [
      'version and name missing, and what is inside is still read',
      { services: { web: {} } },
      [
        '/services/web: missing key command: without an image this is a process; say what to run, such as command: [node, server.mjs], or give an image',
        ': missing key deployment in the deployment file',
        ': missing key version in the deployment file',
      ],
    ],
    [
      'another version',
      { version: 'v2', deployment: 'abc' },
      ['=/version: version must be v1, not "v2"'],
    ],
    [
      'a version as a number',
      { version: 1, deployment: 'abc' },
      ['=/version: version must be v1, not 1'],
    ],
    [
      'a short name',
      { version: 'v1', deployment: 'ab' },
      [
        '=/deployment: deployment must be 3-63 letters, digits and hyphens, beginning with a letter or digit, not "ab"',
      ],
    ],
    [
      'an empty value',
      webWith({ endpoints: null }),
      ['/services/web/endpoints: endpoints is empty; give a list of endpoints, or remove the key'],
    ],
    [
      'a misspelt key',
      webWith({ enviroment: {}, endpoint: [] }),
      [
        '/services/web/endpoint: unknown key endpoint in a service; did you mean endpoints?',
        '/services/web/enviroment: unknown key enviroment in a service',
      ],
    ],
    [
      'a misspelt key is not missed as well',
      fileOf({ web: { comand: ['x'] } }),
      ['/services/web/comand: unknown key comand in a service; did you mean command?'],
    ],
    [
      'a key in another spelling',
      endpointWith({ targetPort: 1 }),
      [
        '/services/web/endpoints/0/targetPort: unknown key targetPort in an endpoint; did you mean target_port?',
      ],
    ],
    [
      'an unknown key where few are known',
      webWith({ restart_policy: { kind: 'no', foobar: 1 } }),
      [
        '/services/web/restart_policy/foobar: unknown key foobar in a restart policy; the keys are kind, max_attempts, delay',
      ],
    ],
    [
      'port 0',
      endpointWith({ port: 0 }),
      ['=/services/web/endpoints/0/port: port must be a number from 1 to 65535, not 0'],
    ],
    [
      'a port in quotes',
      endpointWith({ port: '8080' }),
      [
        '=/services/web/endpoints/0/port: port must be a number from 1 to 65535, not "8080"; write it without quotes',
      ],
    ],
    [
      'a missing key of a list item',
      webWith({ endpoints: [{ name: 'a', port: 1 }] }),
      ['/services/web/endpoints/0: missing key protocol in an endpoint'],
    ],
    [
      'a word not in the list',
      endpointWith({ protocol: 'htps', expose: 'private' }),
      [
        '=/services/web/endpoints/0/expose: expose must be public or internal, not "private"; write internal',
        '=/services/web/endpoints/0/protocol: protocol must be http, https, tcp, udp or websocket, not "htps"; did you mean https?',
      ],
    ],
    [
      'a bare number as a duration',
      webWith({ stop_grace_period: 30 }),
      ['=/services/web/stop_grace_period: stop_grace_period needs a unit: write 30s or 30ms'],
    ],
    [
      'a duration with a fraction',
      webWith({ stop_grace_period: '1.5s' }),
      [
        '=/services/web/stop_grace_period: stop_grace_period must be a duration such as 500ms, 30s or 1h 30m, not "1.5s"',
      ],
    ],
    [
      'a duration that is too short',
      webWith({ health: { check: { type: 'command', command: 'x' }, interval: '0s' } }),
      ['=/services/web/health/interval: interval must be at least 10ms, not "0s"'],
    ],
    [
      'cpu 0',
      webWith({ resources: { cpu: 0 } }),
      ['=/services/web/resources/cpu: cpu must be a number of cores above 0, not 0'],
    ],
    [
      'min above max',
      webWith({ scale: { mode: 'adaptive', min: 3, max: 2 } }),
      ['=/services/web/scale/min: min (3) must not be above max (2)'],
    ],
    [
      'a scale that is a number',
      webWith({ scale: 5 }),
      [
        '=/services/web/scale: scale must be a scale, not 5; write scale: { mode: fixed, replicas: 5 }',
      ],
    ],
    [
      'a scale that is no number either',
      webWith({ scale: 'many' }),
      [
        '=/services/web/scale: scale must be a scale, not "many"; write scale: { mode: fixed, replicas: 3 }',
      ],
    ],
    [
      'a map that is a word',
      webWith({ logs: 'disk', endpoints: ['http'] }),
      [
        '=/services/web/endpoints/0: endpoints[0] must be an endpoint, not "http"; write a map with name, protocol, port',
        '=/services/web/logs: logs must be logs, not "disk"; write a map with destination, max_size_bytes or retention_secs',
      ],
    ],
    [
      'a misspelt mode, and what is wrong in the mode that is meant',
      webWith({ scale: { mode: 'fixd', replicas: -1, count: 1 } }),
      [
        '/services/web/scale/count: unknown key count in a fixed scale; the keys are mode, replicas',
        '=/services/web/scale/mode: mode must be fixed, adaptive or manual, not "fixd"; did you mean fixed?',
        '=/services/web/scale/replicas: replicas must be a whole number from 0 to 10000, not -1',
      ],
    ],
    [
      'a mode that could be any: only what is wrong in all of them',
      webWith({ storage: [{ type: 'disk', target: 'data', readonly: 'x' }] }),
      [
        '=/services/web/storage/0/target: target must be an absolute path, not "data"',
        '=/services/web/storage/0/type: type must be bind, named, anonymous or tmpfs, not "disk"',
      ],
    ],
    [
      'an empty text as a command',
      webWith({ command: ' ' }),
      [
        '=/services/web/command: command is empty; say what to run, such as command: node server.mjs',
      ],
    ],
    [
      'few bytes of logs',
      webWith({ logs: { max_size_bytes: 4095 } }),
      ['=/services/web/logs/max_size_bytes: max_size_bytes must be 4096 bytes or more, not 4095'],
    ],
    [
      'keys of other tools',
      webWith({
        cmd: 'x',
        port: 80,
        env_file: '.env',
        restart: 'always',
        healthcheck: {},
        replicas: 3,
      }),
      [
        '/services/web/cmd: unknown key cmd in a service; write command',
        '/services/web/env_file: unknown key env_file in a service; write env: { NAME: text }; files of variables are not read',
        '/services/web/healthcheck: unknown key healthcheck in a service; write health: { check: { type: http, url: http://localhost/healthz } }',
        '/services/web/port: unknown key port in a service; write endpoints: [{ name: http, protocol: http, port: 8080 }]',
        '/services/web/replicas: unknown key replicas in a service; write scale: { mode: fixed, replicas: N }',
        '/services/web/restart: unknown key restart in a service; write errors: { on_panic: { action: restart } }',
      ],
    ],
    [
      'a scale without a mode',
      webWith({ scale: { replicas: 2 } }),
      ['/services/web/scale: missing key mode in a scale: fixed, adaptive or manual'],
    ],
    [
      'a variable that is a number',
      webWith({ env: { PORT: 8080, DEBUG: true } }),
      [
        '=/services/web/env/DEBUG: DEBUG must be text, not true; write it in quotes: "true"',
        '=/services/web/env/PORT: PORT must be text, not 8080; write it in quotes: "8080"',
      ],
    ],
    [
      'an image as other tools write it',
      fileOf({ web: { image: 'nginx' } }),
      ['=/services/web/image: image must be a map; write image: { name: "nginx" }'],
    ],
    [
      'a pin that matches nothing',
      webWith({ affinity: { pin: 'two' } }),
      ['=/services/web/affinity/pin: pin must be a node as id=2 or zone=a, not "two"'],
    ],
    [
      'both names of one key',
      webWith({ capabilities: [], cap_add: [] }),
      ['/services/web/cap_add: cap_add is another name for capabilities; keep one of them'],
    ],
    [
      'host_network and network_mode saying different things',
      webWith({ host_network: true, network_mode: 'none' }),
      [
        '=/services/web/host_network: host_network is true, but network_mode is none; keep one of the two keys',
      ],
    ],
    [
      'network modes that are none',
      webWith({ network_mode: 'container' }),
      [
        '=/services/web/network_mode: network_mode must be default, host, none, bridge[:name] or container:<id>, not "container"',
      ],
    ],
    [
      'a NUL character',
      webWith({ command: ['a\0b'] }),
      ['=/services/web/command/0: command[0] contains a NUL character; nothing can be given that'],
    ],
    [
      'a command whose first word is empty',
      webWith({ command: ['', 'a'] }),
      ['/services/web/command: command begins with an empty word; name the program first'],
    ],
    [
      'a reserved name',
      webWith({ env: JSON.parse('{"__proto__": "x"}') }),
      ['/services/web/env/__proto__: __proto__ is a reserved name; choose another'],
    ],
    [
      'a network with bits behind its prefix',
      endpointWith({ protocol: 'tcp', stream: { accept_proxy_protocol: ['10.0.0.1/8'] } }),
      [
        '=/services/web/endpoints/0/stream/accept_proxy_protocol/0: accept_proxy_protocol[0] has bits set behind the prefix, "10.0.0.1/8"; write 10.0.0.0/8, or 10.0.0.1/32 for the one address',
      ],
    ],
    [
      'an address in the place of a network',
      endpointWith({ protocol: 'tcp', stream: { accept_proxy_protocol: ['127.0.0.1'] } }),
      [
        '=/services/web/endpoints/0/stream/accept_proxy_protocol/0: accept_proxy_protocol[0] must be a network such as 10.0.0.0/8, not "127.0.0.1"; for this one address write 127.0.0.1/32',
      ],
    ],
    [
      'tls as a word for true',
      endpointWith({ protocol: 'tcp', stream: { tls: 'on' } }),
      [
        '=/services/web/endpoints/0/stream/tls: tls must be off, terminate, reoriginate or passthrough, not "on"; write terminate',
      ],
    ],
    [
      'keys that mean nothing for the protocol',
      endpointWith({ protocol: 'udp', path: '/a', host: 'a', http: {}, stream: { tls: true } }),
      [
        '/services/web/endpoints/0/host: host means nothing for a udp endpoint; remove it',
        '/services/web/endpoints/0/http: http means nothing for a udp endpoint; remove it',
        '/services/web/endpoints/0/path: path means nothing for a udp endpoint; remove it',
        '=/services/web/endpoints/0/stream/tls: tls is not possible on a udp endpoint',
      ],
    ],
    [
      'a udp probe of a tcp endpoint',
      endpointWith({
        protocol: 'tcp',
        stream: { health_check: { type: 'udp_probe', request: 'x' } },
      }),
      [
        '=/services/web/endpoints/0/stream/health_check/type: udp_probe cannot check a tcp endpoint; write tcp_connect',
      ],
    ],
    [
      'init parameters of the wrong kind',
      webWith({
        init: { steps: [{ id: 'a', uses: 'init.wait_tcp', with: { host: 'x', timeout: '5s' } }] },
      }),
      [
        '/services/web/init/steps/0/with: missing key port in the parameters of init.wait_tcp',
        '=/services/web/init/steps/0/with/timeout: timeout must be a whole number of seconds, not "5s"',
      ],
    ],
    [
      'backends that are none, and none at all',
      fileOf({}, { externals: { a: { backends: ['x', 'b:0', '[zz]:1'] }, b: { backends: [] } } }),
      [
        '/externals/b/backends: backends is empty; give a list of host:port',
        '=/externals/a/backends/0: backends[0] must be host:port, not "x"',
        '=/externals/a/backends/1: backends[1] must be host:port, not "b:0"',
        '=/externals/a/backends/2: backends[2] must be host:port, not "[zz]:1"',
      ],
    ],
    [
      'a role nothing can have',
      fileOf(
        {},
        {
          externals: {
            a: {
              backends: ['b:1'],
              endpoints: [{ name: 'x', protocol: 'tcp', port: 1, target_role: 'r' }],
            },
          },
        },
      ),
      [
        '/externals/a/endpoints/0/target_role: target_role means nothing for an external; remove it',
      ],
    ],
    [
      'an external and a service of one name',
      fileOf({ a: { command: 'a' } }, { externals: { a: { backends: ['b:1'] } } }),
      ['/externals/a: there is a service a too; rename one'],
    ],
    [
      'the name of another deployment',
      webWith({ deployment: 'other' }),
      ['=/services/web/deployment: deployment must be test, the name of this one, or be left out'],
    ],
  ]
  for (const [name, tree, problems] of ROWS) {
    test(name, () => expect(problemsOf(tree)).toEqual([...problems].sort()))
  }
})

describe('memory', () => {
  for (const memory of ['256MB', '256', 256, '0Mi', '-1Mi', '1.5Gi']) {
    test(`${memory} is refused`, () => {
      expect(problemsOf(webWith({ resources: { memory } }))).toEqual([
        expect.stringMatching(/memory must be a size such as 256Mi or 2Gi/),
      ])
    })
  }
})

describe('fields left out on purpose', () => {
  const ROWS: readonly [string, Tree][] = [
    ['/tunnels', fileOf({}, { tunnels: {} })],
    ['/services/web/tunnel', webWith({ tunnel: {} })],
    ['/services/web/tunnels', webWith({ tunnels: {} })],
    ['/services/web/wasm', webWith({ wasm: {} })],
    ['/services/web/service_type', webWith({ service_type: 'x' })],
    ['/services/web/isolation', webWith({ isolation: 'auto' })],
    ['/services/web/resources/gpu', webWith({ resources: { gpu: { count: 1 } } })],
    ['/services/web/endpoints/0/tunnel', endpointWith({ tunnel: { enabled: true } })],
    [
      '=/services/web/storage/0/type',
      webWith({ storage: [{ type: 's3', bucket: 'b', target: '/' }] }),
    ],
    [
      '=/services/web/init/steps/0/uses',
      webWith({ init: { steps: [{ id: 'a', uses: 'init.s3_pull' }] } }),
    ],
  ]
  for (const [place, tree] of ROWS) {
    test(place, () => {
      expect(problemsOf(tree)).toEqual([expect.stringContaining('is not supported here')])
      expect(problemsOf(tree)[0]).toMatch(new RegExp(`^${place}: `))
    })
  }

  test('services W74: overlays given in part are not switched off in silence', () => {
    const network = { overlays: { service: { enabled: true } } }
    expect(problemsOf(webWith({ network }))).toEqual([
      '/services/web/network: network is not supported here; remove it',
    ])
  })
})

describe('services W74: what shipped examples got wrong is answered with what to write', () => {
  const check = { type: 'exec', command: 'true' }
  const ROWS: readonly [string, Tree, RegExp][] = [
    ['volumes', webWith({ volumes: ['a:/b'] }), /unknown key volumes in a service; write storage:/],
    ['health exec', webWith({ health: { check } }), /write \{ type: command, command/],
    [
      'init.exec',
      webWith({ init: { steps: [{ id: 'a', uses: 'init.exec' }] } }),
      /write init\.run/,
    ],
    ['a five-field cron', webWith({ rtype: 'cron', schedule: '0 2 * * *' }), /"0 0 2 \* \* \*"/],
    ['a cron without schedule', webWith({ rtype: 'cron' }), /missing key schedule/],
  ]
  for (const [name, tree, message] of ROWS) {
    test(name, () => expect(problemsOf(tree)).toEqual([expect.stringMatching(message)]))
  }

  test('a command as a list is accepted', () => {
    expect(webOf({ command: ['node', 'x.mjs'] }).command.args).toEqual(['node', 'x.mjs'])
  })
})

test('services W73: names that are no DNS labels are refused, and the rest is still checked', () => {
  const services = {
    'a.b': { command: 'a' },
    '': { command: 'a' },
    ok: { depends: [{ service: 'a.b' }] },
  }
  expect(problemsOf(fileOf(services))).toEqual([
    expect.stringMatching(/^\/services\/: "" cannot be a name: it is empty/),
    expect.stringMatching(/^\/services\/a.b: a.b cannot be a name, it is not a DNS label/),
    expect.stringMatching(/^\/services\/ok: missing key command/),
  ])
})

test('messages hold nothing a terminal would obey', () => {
  const nasty = '\u001b[2J\u009b\u202e\n'
  const decoded = decodeDeployment(webWith({ [nasty]: 1, rtype: nasty, env: { [nasty]: 1 } }))
  const messages = decoded.ok ? [] : decoded.problems.map(({ message }) => message)
  expect(messages).toHaveLength(3)
  for (const message of messages) {
    expect(message).toContain('\\u001b[2J\\u009b\\u202e\\n')
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be there
    expect(message).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202e]/)
  }
})
