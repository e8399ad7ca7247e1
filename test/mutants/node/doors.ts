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
    "id, host, port, bind: 'published' }",
    "id, host, port, bind: 'always' }",
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
  ['plain endpoints share a port', "if (stream.tls === 'off') return undefined\n", ''],
  ['an internal endpoint rides on a public socket', 'canonicalJson([isOpen, [', 'canonicalJson([['],
  [
    'tenants trust different proxies',
    'canonicalJson([isOpen, [...stream.acceptProxyProtocol].sort()])',
    'canonicalJson([isOpen])',
  ],
  [
    'the order of trusted proxies matters',
    '[...stream.acceptProxyProtocol].sort()]',
    'stream.acceptProxyProtocol]',
  ],
  ['names do not matter among tenants', "route: host ?? '*'", "route: host && '*' ? '*' : '*'"],
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
