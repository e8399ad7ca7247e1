import { mutantsOf } from '../mutant.ts'

/** Where requests are led, who shares a port for them, and challenges of ACME. */
export const doorways = [
  ...mutantsOf('core/node/service/doors.ts', [
    ['what sleeps does not listen', "canSleep(spec) ? 'always' : bind", 'bind'],
    ['http and https are two listeners', "speaksHttp({ protocol }) ? 'http' : 'tcp'", 'protocol'],
    ['http and tcp are one listener', "speaksHttp({ protocol }) ? 'http' : 'tcp'", "'tcp'"],
    [
      'a mapping of http shares its port',
      'const place = speaksHttp(endpoint)\n',
      "const place = speaksHttp(endpoint) && host === ''\n",
    ],
    ['paths do not matter among tenants', '`${host}${path}`', 'host'],
    ['hosts of requests do not matter among tenants', '`${host}${path}`', 'path'],
    ['what is read shares with what is not', "termsOf('requests', ", "termsOf('bytes', "],
    [
      'http and https share a port',
      "=> ({ tls, route, terms: termsOf('req",
      "=> ({ tls: tls && false, route, terms: termsOf('req",
    ],
  ]),
  ...mutantsOf('core/node/service/sockets.ts', [
    [
      'challenges end with the last service',
      'return isForChallenges(socket) ? EMPTY_DOORWAY : undefined',
      'return undefined',
    ],
    [
      'of one host and path the last one has it all',
      'if (!speaksHttp(endpoint) || routes.has(place)) continue',
      'if (!speaksHttp(endpoint)) continue',
    ],
    ['all paths of a host are one', "`${host ?? '*'}${path}`", "host ?? '*'"],
    ['everything is sent to https', 'http?.redirectHttps === true && service', 'service'],
    [
      'nobody is sent to https',
      'http?.redirectHttps === true && service',
      'service?.key === "" && service',
    ],
    [
      'https of other services is not seen',
      'const keys = [...(deployments.get(deployment)?.services ?? [])].sort()',
      'const keys = [...(deployments.get(deployment)?.services ?? [])].sort().slice(-1)',
    ],
    ['routes change places', '[...routes].sort(([a], [b]) => (a < b ? -1 : 1))', '[...routes]'],
    [
      'https is read as it comes',
      "protocol === 'https' ? 'terminate' : 'off'",
      "protocol === 'https' ? 'off' : 'off'",
    ],
    [
      'the least that a tenant allows for heads holds for all',
      'headTimeoutMs: Math.max(',
      'headTimeoutMs: Math.min(',
    ],
    [
      'the smallest head that a tenant takes is the largest of all',
      'headBytesMax: Math.max(',
      'headBytesMax: Math.min(',
    ],
    [
      'connections are kept as long as the least patient tenant wants',
      'idleTimeoutMs: Math.max(',
      'idleTimeoutMs: Math.min(',
    ],
    [
      'a doorway leads to its first listener alone',
      "'http' in route ? route.http.map(({ listener }) => listener)",
      "'http' in route ? route.http.slice(0, 1).map(({ listener }) => listener)",
    ],
  ]),
  ...mutantsOf('core/node/service/ports.ts', [
    [
      'a port that the file names is shared',
      '  if (targetPort !== undefined) return undefined\n',
      '',
    ],
    [
      'the endpoint that the file names is not looked for',
      '  if (targetEndpoint !== undefined) return targetEndpoint\n',
      '',
    ],
    [
      'who only redirects has a port',
      'if (http?.redirectHttps === true) {',
      'if (http?.redirectHttps === false && targetPort === 0) {',
    ],
    ['one port is not shared over two steps', 'name : ownerOf(other, endpoints)', 'name : other'],
    ['what has a port of its own lends it', '&& isOther && isFree)', '&& isOther)'],
    ['two of one protocol share a port', '&& isOther && isFree)', '&& isFree)'],
    [
      'a port somebody has is leased',
      "state.ledger.isTaken('tcp', each) || state.ledger.isTaken('udp', each)",
      "state.ledger.isTaken('udp', each)",
    ],
  ]),
  ...mutantsOf('core/node/operator.ts', [
    ['challenges need IPv6', "isOptional = host === '::'", 'isOptional = false'],
    ['challenges come by IPv4 alone', "['0.0.0.0', '::'].map((host)", "['0.0.0.0'].map((host)"],
    [
      'challenges have the whole port',
      'port: challengePort, tenancy, isOptional',
      'port: challengePort, isOptional',
    ],
    [
      'challenges outlive the node',
      'const owners = [METRICS_OWNER, CHALLENGES_OWNER]',
      'const owners = [METRICS_OWNER]',
    ],
  ]),
  ...mutantsOf('core/node/service/listeners.ts', [
    [
      'policies do not matter',
      'access: accessOf(config.policies, place)',
      'access: accessOf(config.policies.slice(0, 0), place)',
    ],
    [
      'policies are asked of another port',
      'endpoint: named, port: endpoint.port }',
      'endpoint: named, port: endpoint.targetPort ?? 0 }',
    ],
    [
      'a strategy of requests is for the next listener',
      "protocol: 'http', http, balance: balanceOf(balance)",
      "protocol: 'http', http, balance: balanceOf({ ...balance, strategy: 'round_robin' })",
    ],
  ]),
  ...mutantsOf('core/node/listener-config.ts', [
    ['no limit of backends is told', '  requestsPerBackendMax: spec.requestsPerBackendMax,\n', ''],
    ['no number of retries is told', '  retries: spec.retries,\n', ''],
    ['tunnels are not told how long', '  tunnelIdleMs: spec.tunnelIdleTimeoutMs,\n', ''],
    ['backends speak HTTP/1.1 whatever the file says', '  backend: spec.backend,\n', ''],
    [
      'nobody is trusted',
      '  trustedProxies: prefixesOf(trustedProxies),\n  clientsMax',
      '  clientsMax',
    ],
    ['any number may be held', '  heldMax: limits.heldRequestsMax,\n', ''],
    [
      'connections are kept as long as heads',
      'keepAliveMs: idleTimeoutMs',
      'keepAliveMs: headTimeoutMs',
    ],
    [
      'requests are led to the first of a doorway',
      '{ id: HTTP_DOORWAY, tls: route.tls }',
      '{ id: route.http[0]?.listener ?? HTTP_DOORWAY, tls: route.tls }',
    ],
  ]),
]
