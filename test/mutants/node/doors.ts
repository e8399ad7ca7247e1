import { mutantsOf } from '../mutant.ts'

/** What a file asks of the host. */
export const doors = mutantsOf('core/node/service/doors.ts', [
  [
    'every service is on loopback',
    'policy: spec.localhostReachability,',
    "policy: spec.localhostReachability && 'always',",
  ],
  [
    'every service counts as single',
    'isSingleMember: isSingleMember(membershipOf(spec))',
    'isSingleMember: true',
  ],
  ['udp sockets share a listener', "if (protocol !== 'udp') {", 'if (protocol) {'],
  ['a mapping written twice is one', '    seen.set(written, nth)\n', ''],
  [
    'a mapping listens without a backend',
    "bind: bindOf('published') }",
    "bind: bindOf('always') }",
  ],
  [
    'a tcp listener is another one at another port',
    'key: doorKey(endpoint), endpoint',
    'key: doorKey(endpoint, bindings[0]?.claim), endpoint',
  ],
  [
    'a table of flows is given another strategy',
    "{ name, on: 'udp', at, strategy, failOpen }",
    "{ name, on: 'udp', at, failOpen }",
  ],
  [
    'a table of flows fails open or closed as the file says now',
    "{ name, on: 'udp', at, strategy, failOpen }",
    "{ name, on: 'udp', at, strategy }",
  ],
  [
    'plain endpoints share a port',
    "terms: termsOf('bytes', address, proxies) } : undefined",
    "terms: termsOf('bytes', address, proxies) } : { tls, route: host, terms: '' }",
  ],
  [
    'an internal endpoint rides on a public socket',
    "[what, address === '0.0.0.0' || address === '::', [",
    '[what, [',
  ],
  [
    'tenants trust different proxies',
    "address === '::', [...proxies].sort()])",
    "address === '::'])",
  ],
  [
    'the order of trusted proxies matters',
    "address === '::', [...proxies].sort()])",
    "address === '::', proxies])",
  ],
  [
    'names do not matter among tenants',
    'tls, route: host, terms',
    "tls, route: host && '*', terms",
  ],
  [
    'TLS made anew goes through as it is',
    "tls === 'reoriginate' ? 'terminate' : tls",
    "tls === 'reoriginate' ? 'passthrough' : tls",
  ],
  [
    'a container’s own port is one of the host',
    "spec.rtype === 'service' && spec.runtime === 'process' ?",
    "spec.rtype === 'service' ?",
  ],
  [
    'a program’s own port is anybody’s',
    '? ownPortsOf(spec).map(programClaim) : []',
    '? [] : ownPortsOf(spec).map(programClaim)',
  ],
  ['a program’s own port is its own in IPv6 alone', 'isV6Only: false', 'isV6Only: true'],
  ['Weir listens where the program is to', "bind: 'never'", "bind: 'always'"],
])
