import { expect, test } from 'vitest'
import { buildProgram } from '../../../core/services/program.ts'
import { endpointOf, serviceOf } from '../node/obedient-shell.ts'

const replica = { deployment: 'hello', service: 'web', number: 2, incarnation: 7 }
const endpoints = [endpointOf(), endpointOf({ name: 'admin-api', port: 9001 })]
const ports = { http: 20_001, 'admin-api': 20_002 }

const build = (more: Parameters<typeof serviceOf>[0], role = 'default') =>
  buildProgram({ replica, role, spec: serviceOf({ endpoints, ...more }), directory: '/srv', ports })

test('PORT is the first endpoint, PORT_<ENDPOINT> each one', () => {
  expect(build({}).env).toEqual({
    PORT: '20001',
    PORT_HTTP: '20001',
    PORT_ADMIN_API: '20002',
    WEIR_DEPLOYMENT: 'hello',
    WEIR_SERVICE: 'web',
    WEIR_REPLICA: '2',
    WEIR_ROLE: 'default',
  })
})

test('only $PORT, $PORT_* and $WEIR_* are expanded, every other $ is left alone', () => {
  const args = [
    '$PORT',
    '${PORT}0',
    ':$PORT_ADMIN_API/',
    '$PORTAL',
    '${PORT_NOPE}',
    '$HOME',
    '$$',
    '${WEIR_SERVICE}-$WEIR_REPLICA',
    '$',
  ]
  expect(build({ command: { entrypoint: ['run'], args } }).argv).toEqual([
    'run',
    '20001',
    '200010',
    ':20002/',
    '$PORTAL',
    '${PORT_NOPE}',
    '$HOME',
    '$$',
    'web-2',
    '$',
  ])
})

test('references to the host are left to the spawn, so that no secret enters the journal', () => {
  const env = { TOKEN: '$E:TOKEN', URL: 'http://127.0.0.1:$PORT' }
  expect(build({ env }).env).toMatchObject({ TOKEN: '$E:TOKEN', URL: 'http://127.0.0.1:20001' })
})

test("services W8: a group's command and environment win over the service's", () => {
  const replicaGroups = [
    {
      role: 'read',
      count: 1,
      env: { MODE: 'read' },
      command: { entrypoint: [], args: ['reader'] },
      affinity: 'spread' as const,
    },
  ]
  const program = build({ replicaGroups, env: { MODE: 'all', KEEP: '1' } }, 'read')
  expect(program.argv).toEqual(['reader'])
  expect(program.env).toMatchObject({ MODE: 'read', KEEP: '1', WEIR_ROLE: 'read' })
})

test('the working directory is the file’s, and a relative one lies below it', () => {
  const at = (workdir: string) =>
    build({ command: { entrypoint: [], args: [], workdir } }).directory
  expect([build({}).directory, at('app'), at('/opt'), at('.')]).toEqual([
    '/srv',
    '/srv/app',
    '/opt',
    '/srv',
  ])
})
