/** All mutants there are, each with the tests that are to notice it. */
import { clients } from './http/clients.ts'
import { exchange } from './http/exchange.ts'
import { heads } from './http/heads.ts'
import { messages } from './http/messages.ts'
import { policy } from './http/policy.ts'
import { routes } from './http/routes.ts'
import { upstreams } from './http/upstreams.ts'
import type { Mutant } from './mutant.ts'
import { checks } from './node/checks.ts'
import { claims } from './node/claims.ts'
import { doors } from './node/doors.ts'
import { doorways } from './node/doorways.ts'
import { listeners } from './node/listeners.ts'
import { shutdown } from './node/shutdown.ts'
import { sleep } from './node/sleep.ts'
import { sockets } from './node/sockets.ts'
import { publishClaims } from './publish/claims.ts'
import { publishSockets } from './publish/sockets.ts'
import { entrance } from './stream/entrance.ts'
import { hello } from './stream/hello.ts'
import { listener } from './stream/listener.ts'
import { pair } from './stream/pair.ts'
import { waiting } from './stream/waiting.ts'
import { access } from './udp/access.ts'
import { admission } from './udp/admission.ts'
import { backends } from './udp/backends.ts'
import { forwarding } from './udp/forwarding.ts'
import { headers } from './udp/headers.ts'
import { snapshot } from './udp/snapshot.ts'
import { storage } from './udp/storage.ts'
import { table } from './udp/table.ts'
import { teardown } from './udp/teardown.ts'
import { upstream } from './udp/upstream.ts'

export interface Subject {
  readonly name: string
  /** Paths in `test/core` begin so; those that say most in the least time first. */
  readonly tests: readonly string[]
  readonly mutants: readonly Mutant[]
}

export const SUBJECTS: readonly Subject[] = [
  {
    name: 'udp',
    tests: [
      'udp/life/',
      'udp/backends/',
      'udp/proxy/',
      'udp/storage/',
      'udp/sheet',
      'udp/weak',
      'udp/config',
      'udp/snapshot',
      'udp/',
    ],
    mutants: [
      ...admission,
      ...forwarding,
      ...upstream,
      ...backends,
      ...teardown,
      ...table,
      ...snapshot,
      ...storage,
      ...headers,
      ...access,
    ],
  },
  {
    name: 'publish',
    tests: ['publish/ports/', 'publish/ledger', 'publish/snapshot', 'publish/'],
    mutants: [...publishClaims, ...publishSockets],
  },
  {
    name: 'stream',
    tests: [
      'stream/pair',
      'stream/listener',
      'stream/choice',
      'stream/options',
      'stream/hold',
      'balance/group.',
      'stream/',
      'balance/',
    ],
    mutants: [...pair, ...listener, ...waiting],
  },
  {
    name: 'entrance',
    tests: ['stream/entrance/', 'net/proxy-v'],
    mutants: [...entrance, ...hello],
  },
  {
    name: 'node',
    tests: [
      'node/service/',
      'node/http',
      'node/ports',
      'node/passive',
      'node/shutdown',
      'node/udp.',
      'node/deploy',
      'node/answers',
      'node/services',
      'node/',
    ],
    mutants: [
      ...doors,
      ...doorways,
      ...claims,
      ...sockets,
      ...listeners,
      ...checks,
      ...sleep,
      ...shutdown,
    ],
  },
  { name: 'policy', tests: ['policy/'], mutants: policy },
  {
    name: 'messages',
    tests: ['http/head/', 'http/framing/', 'http/smuggling/'],
    mutants: messages,
  },
  {
    name: 'heads',
    tests: ['http/routes/', 'http/forward/'],
    mutants: [...routes, ...heads],
  },
  {
    name: 'ingress',
    tests: [
      'http/ingress/upstreams/',
      'http/ingress/clients/',
      'http/ingress/control/',
      'http/ingress/exchange/',
      'http/ingress/',
    ],
    mutants: [...upstreams, ...exchange, ...clients],
  },
]
