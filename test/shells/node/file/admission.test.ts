import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { defaultNodeSettings } from '../../../../core/spec/node/settings.ts'
import { admitDeployment, loadDeployment } from '../../../../shells/node/file/deployment-file.ts'
import { fixture, fixturesDirectory } from '../tls/fixtures.ts'

const HEAD = 'version: v1\ndeployment: test\nservices:\n  web:\n    command: x\n'
const TLS = `${HEAD}    endpoints:
      - { name: a, protocol: tcp, port: 1, stream: { tls: passthrough } }
      - { name: b, protocol: tcp, port: 2, stream: { tls: terminate } }
      - name: c
        protocol: https
        port: 3
`
const NEEDED =
  'needs certificates: start the node with --node FILE whose certificates: names a directory'
const withCertificates = { ...defaultNodeSettings, certificates: '/certificates' }

describe('proxy W30, W40: what ends TLS needs certificates of the node', () => {
  const refused = { ok: false, problems: [`f:8:54: ${NEEDED}`, `f:10:9: ${NEEDED}`] }

  test('without any it is refused at its place', () => {
    expect(admitDeployment(TLS, 'f')).toEqual(refused)
    expect(admitDeployment(TLS, 'f', defaultNodeSettings)).toEqual(refused)
  })

  test('with them it is admitted', () => {
    expect(admitDeployment(TLS, 'f', withCertificates)).toMatchObject({ ok: true, warnings: [] })
  })

  test('checking asks for them when it knows the node', () => {
    expect(loadDeployment(TLS, 'f')).toMatchObject({ ok: true, warnings: [] })
    expect(loadDeployment(TLS, 'f', withCertificates)).toMatchObject({ ok: true, warnings: [] })
    expect(loadDeployment(TLS, 'f', defaultNodeSettings)).toEqual(refused)
  })
})

describe('what nobody has a certificate for', () => {
  let certificates = ''
  beforeAll(() => {
    certificates = mkdtempSync(join(tmpdir(), 'weir-names-'))
    for (const file of ['b.test.crt', 'b.test.key', '_.w.test.crt', '*.w.test.key', 'c.test.crt']) {
      writeFileSync(join(certificates, file), '')
    }
  })
  afterAll(() => rmSync(certificates, { recursive: true }))
  const of = (host: string): string =>
    `${HEAD}    endpoints:\n      - { name: a, protocol: https, port: 1, host: ${host} }\n`
  const warningsOf = (loaded: ReturnType<typeof admitDeployment>) => loaded.ok && loaded.warnings

  const ROWS: readonly [host: string, isCertified: boolean][] = [
    ['b.test', true],
    ['x.w.test', true],
    ['c.test', false], // half of a pair
    ['w.test', false],
  ]
  for (const [host, isCertified] of ROWS) {
    test(`${host} is ${isCertified ? 'served' : 'warned of, by checking and running'}`, () => {
      const warning = `f:7:46: endpoint a of service web: no certificate in ${certificates} is for ${host}; put ${host}.crt and ${host}.key there, or those of default`
      const settings = { ...defaultNodeSettings, certificates }
      for (const read of [loadDeployment, admitDeployment]) {
        expect(warningsOf(read(of(host), 'f', settings))).toEqual(isCertified ? [] : [warning])
      }
    })
  }
})

describe('the port of metrics', () => {
  test('is refused at its place, by checking and running', () => {
    const settings = { ...defaultNodeSettings, metrics: { host: '127.0.0.1', port: 81 } }
    const text = `${HEAD}    port_mappings: [{ container_port: 80, host_port: 81 }]\n`
    const problem = `f:6:43: tcp port 81 is the node's own, for metrics (127.0.0.1:81 in the node file); choose another port`
    for (const read of [loadDeployment, admitDeployment]) {
      expect(read(text, 'f', settings)).toEqual({ ok: false, problems: [problem] })
    }
  })
})

describe('a network policy for what is not there', () => {
  const text = `${HEAD}    endpoints: [{ name: a, protocol: tcp, port: 1 }]\n`
  const accessRules = [{ service: 'typo', deployment: '*', action: 'deny' }] as const
  const policy = { name: 'office', cidrs: ['10.0.0.0/8'], members: [], accessRules }
  const settings = { ...defaultNodeSettings, networkPolicies: [policy] }
  const warnings = [
    'f:3:1: access rule 1 of policy office in the node file is for service typo, and there is none of this name here; where it is for another deployment, name that in it',
  ]

  test('is warned of, by checking and running', () => {
    expect(loadDeployment(text, 'f')).toMatchObject({ ok: true, warnings: [] })
    expect(loadDeployment(text, 'f', settings)).toMatchObject({ ok: true, warnings })
    expect(admitDeployment(text, 'f', settings)).toMatchObject({ ok: true, warnings })
  })

  test('but where another deployment has it, and not the one that this takes the place of', () => {
    const admit = (deployment: string) =>
      admitDeployment(text, 'f', settings, undefined, [
        { deployment, service: 'typo', endpoint: 'a', port: 1 },
      ])
    expect(admit('shop')).toMatchObject({ ok: true, warnings: [] })
    expect(admit('test')).toMatchObject({ ok: true, warnings })
  })
})

describe('staying off loopback', () => {
  const text = `${HEAD}    localhost_reachability: never\n    endpoints: [{ name: a, protocol: tcp, port: 1 }]\n`
  const warned = [
    'f:6:5: internal endpoints are on loopback while the node has no internal addresses',
  ]

  test('is warned of while there is no other place', () => {
    expect(admitDeployment(text, 'f')).toMatchObject({ ok: true, warnings: warned })
    expect(loadDeployment(text, 'f', defaultNodeSettings)).toMatchObject({ warnings: warned })
    expect(loadDeployment(text, 'f')).toMatchObject({ ok: true, warnings: [] })
  })

  test('is what happens when there is one', () => {
    const settings = { ...defaultNodeSettings, internalAddresses: ['10.8.0.2'] }
    expect(admitDeployment(text, 'f', settings)).toMatchObject({ ok: true, warnings: [] })
  })
})

describe('the file that replicas are checked by', () => {
  let directory = ''
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'weir-ca-'))
    writeFileSync(join(directory, 'key.pem'), fixture('a.example.key'))
    writeFileSync(join(directory, 'two.pem'), `${fixture('ca.crt')}\n${fixture('a.example.crt')}`)
    const torn = fixture('ca.crt').replace(/\n[A-Za-z0-9+/]{64}\n/, '\n')
    writeFileSync(join(directory, 'torn.pem'), `${fixture('ca.crt')}${torn}`)
    writeFileSync(join(directory, 'large.pem'), fixture('ca.crt'))
    truncateSync(join(directory, 'large.pem'), 1024 ** 2 + 1)
    execFileSync('mkfifo', [join(directory, 'pipe')])
  })
  afterAll(() => rmSync(directory, { recursive: true }))

  const text = (ca: string): string =>
    `${HEAD}    endpoints:\n      - { name: a, protocol: tcp, port: 1, stream: { tls: reoriginate, backend_ca: ${ca} } }\n`
  const admit = (ca: string) => admitDeployment(text(ca), 'f', withCertificates, directory)
  const caOf = (admitted: ReturnType<typeof admit>): string | undefined =>
    admitted.ok ? admitted.deployment.services.web?.endpoints[0]?.stream.backendCa : undefined

  test('is found from the directory of the deployment file, and absolute from then on', () => {
    expect(caOf(admit('two.pem'))).toBe(join(directory, 'two.pem'))
    expect(caOf(admit('./../x/../two.pem'))).toBeUndefined()
    expect(caOf(admit(`${fixturesDirectory}/ca.crt`))).toBe(`${fixturesDirectory}/ca.crt`)
  })

  test('checking only looks at what the deployment file says', () => {
    const loaded = loadDeployment(text('missing.pem'), 'f')
    expect(loaded).toMatchObject({ ok: true, warnings: [] })
    expect(caOf(loaded)).toBe('missing.pem')
  })

  test('checking for a node looks into it as well, and leaves it as it is written', () => {
    const check = (ca: string) => loadDeployment(text(ca), 'f', withCertificates, directory)
    expect(caOf(check('two.pem'))).toBe('two.pem')
    expect(check('key.pem')).toEqual(admit('key.pem'))
    expect(check('key.pem')).toMatchObject({ ok: false })
  })

  const ROWS: readonly [string, (path: string) => string][] = [
    ['missing.pem', (path) => `backend_ca cannot be read: ${path}: no such file or directory`],
    ['.', () => `backend_ca cannot be used: ${directory} is not a file`],
    ['pipe', (path) => `backend_ca cannot be used: ${path} is not a file`],
    ['large.pem', (path) => `backend_ca cannot be used: ${path} is larger than 1 MiB`],
    ['key.pem', (path) => `backend_ca cannot be used: ${path} holds no certificate in PEM form`],
    [
      'torn.pem',
      (path) => `backend_ca cannot be used: ${path} holds a certificate that cannot be read`,
    ],
  ]
  for (const [name, problem] of ROWS) {
    test(`${name} is refused at its place`, () => {
      const problems = [`f:7:84: ${problem(join(directory, name))}`]
      expect(admit(name)).toEqual({ ok: false, problems })
    })
  }
})
