import { expect, onTestFinished, test } from 'vitest'
import { defaultHttpListenerConfig, defaultIngressConfig } from '../../../../core/http/config.ts'
import type { ClientId } from '../../../../core/http/events.ts'
import { HttpShell } from '../../../../shells/node/http/http-shell.ts'
import { HOST, refusingPort, until } from '../listener/fixture.ts'

test.each(['http1', 'h2c'] as const)(
  'an attempt to connect over %s that fails leaves nothing behind',
  async (backend) => {
    const outcomes: string[] = []
    const shell = new HttpShell({
      config: defaultIngressConfig,
      fact: () => {},
      exchanged: ({ outcome }) => outcomes.push(outcome),
      hostFailed: () => {},
      full: () => {},
    })
    onTestFinished(() => shell.stop())
    const config = { ...defaultHttpListenerConfig, backend }
    shell.step({ type: 'configure-listener', listener: 'web', config, balance: {} })
    const backends = [
      { id: 'refusing', host: HOST, port: await refusingPort() },
      { id: 'impossible', host: HOST, port: 65_536 },
    ]
    const version = 1
    shell.step({ type: 'apply-backends', listener: 'web', version, backends, whenEmpty: 'refuse' })
    const routes = [{ path: '/', listener: 'web' }]
    shell.applyRoutes({ type: 'apply-routes', port: 'a', number: 80, routes })
    const address = { a: 0, b: 0, c: -65_536, d: 0x100007f, port: 1 }
    const peers = { source: address, destination: address }
    const head = { method: 'GET', scheme: 'http', authority: 'a', path: '/', fields: [] }
    for (let count = 1; count <= 10; count++) {
      const client = count as ClientId
      const opened = { type: 'stream-opened', client, port: 'a', peers, head } as const
      shell.step({ ...opened, isLast: true })
    }
    await until(() => outcomes.length === 10)
    expect(new Set(outcomes)).toEqual(new Set(['connect-failed']))
    expect(shell.upstreams).toBe(0)
  },
)
