import { expect, test } from 'vitest'
import { deploymentOf, problemsOf, type Tree, webWith } from '../files.ts'

const ENDPOINTS = [
  { name: 'admin', protocol: 'tcp', port: 9000 },
  { name: 'http', protocol: 'http', port: 80, target_port: 8080 },
  { name: 'dns', protocol: 'udp', port: 53 },
]
const NO_ENDPOINT = 'write { type: command, command: "..." } or name the port of another endpoint'

const withCheck = (check: Tree, endpoints: readonly Tree[] = ENDPOINTS): Tree =>
  webWith({ endpoints, health: { check } })

interface Good {
  readonly name: string
  readonly tree: Tree
  readonly check: object
}

const GOOD: readonly Good[] = [
  { name: 'port 0', tree: withCheck({ type: 'tcp' }), check: { type: 'tcp', port: 0 } },
  {
    name: 'the port of an endpoint',
    tree: withCheck({ type: 'tcp', port: 80 }),
    check: { type: 'tcp', port: 80 },
  },
  {
    name: "an endpoint's target_port becomes its port",
    tree: withCheck({ type: 'tcp', port: 8080 }),
    check: { type: 'tcp', port: 80 },
  },
  {
    name: 'a URL without a port',
    tree: withCheck({ type: 'http', url: 'http://localhost/healthz' }),
    check: { type: 'http', url: 'http://localhost/healthz', expectStatus: 200 },
  },
  {
    name: "a URL with an endpoint's target_port",
    tree: withCheck({ type: 'http', url: 'http://localhost:8080/healthz?a=8080' }),
    check: { type: 'http', url: 'http://localhost:80/healthz?a=8080', expectStatus: 200 },
  },
  {
    name: 'a command needs no endpoint',
    tree: withCheck({ type: 'command', command: 'true' }, []),
    check: { type: 'command', command: 'true' },
  },
]
for (const { name, tree, check } of GOOD) {
  test(name, () => expect(deploymentOf(tree).services.web?.health?.check).toEqual(check))
}

const BAD: readonly [string, Tree, readonly string[]][] = [
  [
    'a port of no endpoint',
    withCheck({ type: 'tcp', port: 81 }),
    [
      '=/services/web/health/check/port: no endpoint has port 81; write 0 for the first endpoint, or write 9000 for admin',
    ],
  ],
  [
    'a URL with a port of no endpoint',
    withCheck({ type: 'http', url: 'http://localhost:81/' }),
    [
      '=/services/web/health/check/url: no endpoint has port 81; leave the port out for the first endpoint, or write 9000 for admin',
    ],
  ],
  [
    'the port of a udp endpoint',
    withCheck({ type: 'tcp', port: 53 }),
    [
      '=/services/web/health/check/port: no endpoint has port 53; write 0 for the first endpoint, or write 9000 for admin',
    ],
  ],
  [
    'the first endpoint where there is none',
    withCheck({ type: 'tcp' }, []),
    [
      `/services/web/health/check: a tcp check needs an endpoint, and there is no endpoint; ${NO_ENDPOINT}`,
    ],
  ],
  [
    'the first endpoint where that is udp',
    withCheck({ type: 'http', url: 'http://x/' }, [...ENDPOINTS].reverse()),
    [
      `/services/web/health/check: an http check needs an endpoint, and the first endpoint is udp; ${NO_ENDPOINT}`,
    ],
  ],
  [
    'a URL that is none',
    withCheck({ type: 'http', url: 'localhost' }),
    [
      '=/services/web/health/check/url: url must be a URL such as http://localhost/healthz, without a user or a fragment, not "localhost"',
    ],
  ],
  [
    'startup and liveness blocks too',
    webWith({
      endpoints: ENDPOINTS,
      health: {
        check: { type: 'tcp' },
        startup: { check: { type: 'tcp', port: 1 } },
        liveness: { check: { type: 'tcp', port: 2 } },
      },
    }),
    [
      '=/services/web/health/liveness/check/port: no endpoint has port 2; write 0 for the first endpoint, or write 9000 for admin',
      '=/services/web/health/startup/check/port: no endpoint has port 1; write 0 for the first endpoint, or write 9000 for admin',
    ],
  ],
  [
    'nothing is said of the check while an endpoint is wrong',
    withCheck({ type: 'tcp', port: 81 }, [{ name: 'a', protocol: 'tcp', port: 0 }]),
    ['=/services/web/endpoints/0/port: port must be a number from 1 to 65535, not 0'],
  ],
]
for (const [name, tree, problems] of BAD) {
  test(name, () => expect(problemsOf(tree)).toEqual(problems))
}
