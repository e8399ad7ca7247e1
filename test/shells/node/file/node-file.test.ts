import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { defaultNodeSettings } from '../../../../core/spec/node/settings.ts'
import { loadNodeFile, nodeFileSchema } from '../../../../shells/node/file/node-file.ts'
import { fixture } from '../tls/fixtures.ts'

const GOOD = `# of this machine
ports: { replicas: 21000-21999 }
internal_addresses:
  - 10.8.0.2
  - fd00::2
certificates: ./certificates
metrics: "[::1]:9464"
drain_timeout: 10s
trusted_proxies: [10.0.0.0/8]
network_policies:
  - name: office
    cidrs: [10.8.0.0/16]
    access_rules: [{ service: api }]
access_log: { file: access.log }
limits: { http_clients: 1000 }
acme: { email: a@b.test, terms_agreed: true, ca: ca.pem }
`

test('a file that is good gives settings and no word', () => {
  expect(loadNodeFile(GOOD, 'node.yaml')).toEqual({
    ok: true,
    settings: {
      replicaPorts: { from: 21_000, to: 21_999 },
      internalAddresses: ['10.8.0.2', 'fd00::2'],
      certificates: './certificates',
      metrics: { host: '::1', port: 9464 },
      drainTimeoutMs: 10_000,
      trustedProxies: ['10.0.0.0/8'],
      networkPolicies: [
        {
          name: 'office',
          cidrs: ['10.8.0.0/16'],
          members: [],
          accessRules: [{ service: 'api', deployment: '*', action: 'allow' }],
        },
      ],
      accessLog: { file: 'access.log', format: 'json', bytesMax: 67_108_864, keep: 3 },
      limits: { httpClientsMax: 1_000, heldRequestsMax: 1_000, heldBytesMax: 16_777_216 },
      acme: {
        directory: 'https://acme-v02.api.letsencrypt.org/directory',
        email: 'a@b.test',
        hosts: 'auto',
        renewBeforeMs: 2_592_000_000,
        ca: 'ca.pem',
      },
    },
    warnings: [],
  })
})

describe('a file that says nothing is one with all of the defaults', () => {
  for (const text of ['', '# nothing\n', '---\n', '{}\n']) {
    test(JSON.stringify(text), () => {
      const loaded = loadNodeFile(text, 'f')
      expect(loaded).toEqual({ ok: true, settings: defaultNodeSettings, warnings: [] })
    })
  }
})

describe('a directory of certificates', () => {
  let directory = ''
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'weir-node-file-'))
    mkdirSync(join(directory, 'certs'))
    writeFileSync(join(directory, 'file'), '')
  })
  afterAll(() => rmSync(directory, { recursive: true }))
  const load = (certificates: string) =>
    loadNodeFile(`drain_timeout: 1s\ncertificates: ${certificates}\n`, 'f', directory)

  test('is found from the directory of the file', () => {
    const certificates = join(directory, 'certs')
    const settings = { ...defaultNodeSettings, drainTimeoutMs: 1_000, certificates }
    const loaded = { ok: true, settings, warnings: [] }
    expect(load('certs')).toEqual(loaded)
    expect(load(certificates)).toEqual(loaded)
  })

  const ROWS: readonly [string, string][] = [
    ['none', 'it is not there'],
    ['file', 'it is not a directory'],
    ['file/certs', 'it is not a directory'],
  ]
  for (const [name, reason] of ROWS) {
    test(`${name}: ${reason}`, () => {
      const problem = `f:2:15: certificates cannot be read: ${join(directory, name)}: ${reason}`
      expect(load(name)).toEqual({ ok: false, problems: [problem] })
    })
  }

  test('is not looked for when the place of the file is not known', () => {
    expect(loadNodeFile('certificates: none\n', 'f')).toMatchObject({ ok: true })
  })
})

describe('other files that it names', () => {
  let directory = ''
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'weir-node-file-'))
    mkdirSync(join(directory, 'sub'))
    writeFileSync(join(directory, 'ca.pem'), fixture('ca.crt'))
    writeFileSync(join(directory, 'key.pem'), fixture('a.example.key'))
  })
  afterAll(() => rmSync(directory, { recursive: true }))
  const logOf = (file: string) => loadNodeFile(`access_log:\n  file: ${file}\n`, 'f', directory)
  const acmeOf = (ca: string) =>
    loadNodeFile(
      `certificates: .\nacme:\n  email: a@b.test\n  terms_agreed: true\n  ca: ${ca}\n`,
      'f',
      directory,
    )

  test('are found from its directory', () => {
    expect(logOf('access.log')).toMatchObject({
      settings: { accessLog: { file: join(directory, 'access.log') } },
    })
    expect(logOf('sub/../ca.pem')).toMatchObject({
      settings: { accessLog: { file: join(directory, 'ca.pem') } },
    })
    expect(acmeOf('./ca.pem')).toMatchObject({
      settings: { certificates: directory, acme: { ca: join(directory, 'ca.pem') } },
    })
  })

  const LOGS: readonly [string, (path: string) => string][] = [
    ['none/access.log', () => `${join(directory, 'none')}: no such file or directory`],
    ['ca.pem/access.log', () => `${join(directory, 'ca.pem')} is not a directory`],
    ['sub', (path) => `${path} is a directory`],
  ]
  for (const [name, reason] of LOGS) {
    test(`no access log can be at ${name}`, () => {
      const problem = `f:2:9: file cannot be written: ${reason(join(directory, name))}`
      expect(logOf(name)).toEqual({ ok: false, problems: [problem] })
    })
  }

  test('certificates that a server is checked by are there, and are some', () => {
    const at = (name: string): string => join(directory, name)
    const rows: readonly [string, string][] = [
      ['no.pem', `cannot be read: ${at('no.pem')}: no such file or directory`],
      ['key.pem', `cannot be used: ${at('key.pem')} holds no certificate in PEM form`],
    ]
    for (const [name, reason] of rows) {
      expect(acmeOf(name)).toEqual({ ok: false, problems: [`f:5:7: ca ${reason}`] })
    }
  })
})

describe('what is wrong is told at its place, in order', () => {
  const ROWS: readonly [string, string, readonly string[]][] = [
    [
      'keys and values',
      `ports:
  replica: 1-2
  replicas: 1-2
internal_addresses: [10.8.0.2, 127.0.0.1]
metrics: :9464
drain_timeout: 2h
journal: {}
`,
      [
        'f:2:3: unknown key replica in a ports block; did you mean replicas?',
        'f:3:13: replicas must lie within 1024-65535, not 1-2',
        'f:4:32: internal_addresses[1] is loopback, where internal endpoints are anyway while there is no other address; remove it',
        'f:5:10: metrics must be HOST:PORT such as 127.0.0.1:9464, not ":9464"; write 127.0.0.1:9464 for this machine only, 0.0.0.0:9464 for everybody',
        'f:6:16: drain_timeout must be at most 1h, not "2h"',
        'f:7:1: journal is not built yet; remove it',
      ],
    ],
    ['no YAML', 'ports: {\n', [expect.stringMatching(/^f:1:8: the \{ that begins here/)]],
    [
      'a key twice',
      'metrics: a\nmetrics: b\n',
      [expect.stringMatching(/^f:1:10: /), expect.stringMatching(/^f:2:1: /)],
    ],
    ['a text', 'hello\n', ['f:1:1: a node file is a map such as drain_timeout: 30s, not "hello"']],
  ]
  for (const [name, text, problems] of ROWS) {
    test(name, () => expect(loadNodeFile(text, 'f')).toEqual({ ok: false, problems }))
  }

  test('what works and had better be otherwise is warned of', () => {
    const loaded = loadNodeFile('ports:\n  replicas: 40000-40099\n', 'f')
    expect(loaded).toMatchObject({
      ok: true,
      warnings: [expect.stringMatching(/^f:2:13: replicas 40000-40099 reaches into 32768-60999, /)],
    })
  })
})

test('its schema is one of its own', () => {
  expect(nodeFileSchema()).toMatchObject({ title: 'Weir node file', $ref: '#/$defs/node' })
})
