import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { buildProgram } from '../../../../core/services/program.ts'
import { problemsOf, type Tree, webOf, webWith } from '../files.ts'

const NAMES = '$WEIR_DEPLOYMENT, $WEIR_SERVICE, $WEIR_REPLICA or $WEIR_ROLE'
const NO_ENDPOINT =
  'stands for nothing: the service has no endpoints; add one, or write the port itself'
const endpoints = [
  { name: 'http', protocol: 'http', port: 8080 },
  { name: 'admin-api', protocol: 'tcp', port: 8081 },
]

const ROWS: readonly [string, Tree, readonly string[]][] = [
  ['$PORT without endpoints', { command: 'x -p $PORT' }, [`command: $PORT ${NO_ENDPOINT}`]],
  [
    'each name once, in braces too',
    { command: ['x', '$PORT ${PORT}', '${PORT_A}'] },
    [`command/1: $PORT ${NO_ENDPOINT}`, `command/2: $PORT_A ${NO_ENDPOINT}`],
  ],
  [
    'a misspelt endpoint',
    { endpoints, command: 'x $PORT_HTPP', env: { A: 'http://x:${PORT_ADMINAPI}/' } },
    [
      'command: $PORT_HTPP stands for nothing; did you mean $PORT_HTTP?',
      'env/A: $PORT_ADMINAPI stands for nothing; did you mean $PORT_ADMIN_API?',
    ],
  ],
  [
    'small letters',
    { endpoints, command: 'x $PORT_http' },
    ['command: $PORT_http stands for nothing; did you mean $PORT_HTTP?'],
  ],
  [
    'an endpoint far from all',
    { endpoints, command: 'x $PORT_QUEUE_OF_JOBS' },
    ['command: $PORT_QUEUE_OF_JOBS stands for nothing; write $PORT, $PORT_HTTP or $PORT_ADMIN_API'],
  ],
  [
    'parts of a command, and not its directory',
    { command: { entrypoint: ['x'], args: ['$PORT'], workdir: '$PORT' } },
    [`command/args/0: $PORT ${NO_ENDPOINT}`],
  ],
  [
    'names of our own',
    { env: { A: '$WEIR_SERVCE', B: '$WEIR_SOMETHING_ELSE', C: '$WEIR_NODE' } },
    [
      'env/A: $WEIR_SERVCE stands for nothing; did you mean $WEIR_SERVICE?',
      `env/B: $WEIR_SOMETHING_ELSE stands for nothing; write ${NAMES}`,
      'env/C: $WEIR_NODE is not replaced here: it is a mark in the environment; did you mean $WEIR_ROLE?',
    ],
  ],
  [
    'groups',
    { replica_groups: [{ role: 'a', count: 1, command: 'x $PORT', env: { A: '$PORT' } }] },
    [
      `replica_groups/0/command: $PORT ${NO_ENDPOINT}`,
      `replica_groups/0/env/A: $PORT ${NO_ENDPOINT}`,
    ],
  ],
  [
    'a shell does not know it either',
    { command: ['sh', '-c', 'x $PORT'] },
    [`command/2: $PORT ${NO_ENDPOINT}`],
  ],
  [
    'the environment is not looked into where no shell runs',
    { command: 'x $PORT', env: { PORT: '8080' } },
    [`command: $PORT ${NO_ENDPOINT}`],
  ],
  [
    'an endpoint that is not understood is the one mistake',
    { command: 'x $PORT_A', endpoints: [{ name: 'a', protocol: 'tcp', port: 0 }] },
    ['endpoints/0/port: port must be a number from 1 to 65535, not 0'],
  ],
]

describe('a variable that stands for nothing is told at its text', () => {
  for (const [name, keys, problems] of ROWS) {
    test(name, () => {
      const said = problemsOf(webWith(keys)).map((line) => line.replace('=/services/web/', ''))
      expect(said).toEqual(problems)
    })
  }
})

describe('nothing is said of', () => {
  const FINE: readonly [string, Tree][] = [
    ['those that are there', { endpoints, command: 'x $PORT ${PORT_HTTP} $PORT_ADMIN_API/' }],
    [
      'the four of our own',
      { command: 'x $WEIR_DEPLOYMENT$WEIR_SERVICE/$WEIR_REPLICA ${WEIR_ROLE}' },
    ],
    [
      'every other $',
      {
        command: 'x $ $$ $5 $HOME ${HOME} $PORTAL ${PORT:-80} $$PORT port$',
        env: { A: '$E:PORT' },
      },
    ],
    [
      'what a shell finds in its environment',
      {
        command: ['sh', '-ec', 'x $PORT $WEIR_NODE $PORT_B'],
        env: { PORT: '1' },
        env_inherit: ['PORT_B'],
      },
    ],
    ['what a shell may inherit', { command: ['sh', '-c', 'x $PORT'], env_inherit: true }],
    ['containers', { image: { name: 'nginx' }, command: 'x $PORT' }],
  ]
  for (const [name, keys] of FINE) test(name, () => expect(problemsOf(webWith(keys))).toEqual([]))
})

test('told is exactly what the program would be given unchanged', () => {
  const replica = { deployment: 'test', service: 'web', number: 1, incarnation: 1 }
  const spec = webOf({ endpoints })
  const word = fc.constantFrom('PORT', 'PORT_', 'HTTP', 'ADMIN_API', 'WEIR_', 'ROLE', 'x', '_', '-')
  const name = fc.array(word, { minLength: 1, maxLength: 4 }).map((all) => all.join(''))
  const text = fc.oneof(
    name.map((each) => `$${each}`),
    name.map((each) => `\${${each}}`),
  )
  fc.assert(
    fc.property(text, (written) => {
      const ports = { http: 1, 'admin-api': 2 }
      const program = buildProgram({
        replica,
        role: 'main',
        spec: { ...spec, env: { A: written } },
        directory: '/',
        ports,
      })
      const isOurs = /^\$\{?(PORT(?!\w)|PORT_|WEIR_)/.test(written) && !/^\$\{\w*-/.test(written)
      const isTold = problemsOf(webWith({ endpoints, env: { A: written } })).length > 0
      expect(isTold).toBe(isOurs && program.env.A === written)
    }),
    { numRuns: 2000 },
  )
})
