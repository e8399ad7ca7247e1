/** Port mappings: while a replica is behind them, at the addresses they name. */
import { describe, expect, test } from 'vitest'
import { ObedientShell } from '../obedient-shell.ts'
import { deploy, fixed, mapping, node, places, replies, tcp, typed } from '../service/samples.ts'

describe('port mappings', () => {
  test('an explicit one listens while a replica is behind it, and not before', () => {
    const spec = { endpoints: [tcp(6379)], portMappings: [mapping({ hostPort: 16379 })] }
    const shell = new ObedientShell().boot()
    shell.answer = (command) => (command.type === 'probe' ? [] : undefined)
    deploy(shell, spec)
    expect(places(shell)).toEqual(['tcp 127.0.0.1:6379', 'tcp [::1]:6379'])
    shell.answer = () => undefined
    shell.pass(10_000)
    expect(places(shell)).toContain('tcp 0.0.0.0:16379')
    expect(shell.service().endpoints).toEqual(['tcp://127.0.0.1:6379', 'tcp://0.0.0.0:16379'])
    const sets = typed(shell.commands, 'apply-backends').map(({ listener, backends }) => [
      listener.split('#')[0],
      backends.map(({ port }) => port),
    ])
    const [port] = Object.values(shell.machine.view(shell.now).replicas[0]!.addresses)
    expect(sets).toEqual([
      ['hello/web/tcp', [Number(port!.split(':')[1])]],
      ['hello/web/mapping 6379 tcp', [Number(port!.split(':')[1])]],
    ])
    shell.scale('web', 0)
    expect(places(shell)).toEqual(['tcp 127.0.0.1:6379', 'tcp [::1]:6379'])
  })

  test('proxy W39 services W37: one ephemeral port for all replicas, told in the view, given back with the last', () => {
    const shell = node({
      endpoints: [tcp(6379)],
      portMappings: [mapping({ hostIp: '127.0.0.1' })],
      scale: fixed(2),
    })
    const bound = typed(shell.commands, 'bind-socket').filter(({ port }) => port === 0)
    expect(bound).toHaveLength(1)
    expect(shell.service().endpoints[1]).toBe('tcp://127.0.0.1:40000')
    const row = shell.machine.view(shell.now).listeners.find(({ purpose }) => purpose === 'mapping')
    expect(row).toMatchObject({ address: '127.0.0.1:40000', state: 'serving', backends: 2 })
    shell.scale('web', 1)
    expect(shell.service().endpoints[1]).toBe('tcp://127.0.0.1:40000')
    shell.scale('web', 0)
    expect(shell.addresses('mapping 6379 tcp')).toEqual([])
    expect(shell.service().endpoints[1]).toBe('tcp://127.0.0.1:0')
  })

  test('proxy W39: one number at two addresses is two ports', () => {
    const one = mapping({ hostPort: 80, hostIp: '127.0.0.1' })
    const two = mapping({ hostPort: 80, hostIp: '10.0.0.1' })
    const shell = node({ endpoints: [tcp(6379)], portMappings: [one, two] }, 'one')
    deploy(shell, { endpoints: [tcp(6379)], portMappings: [one] }, 'one')
    const other = {
      endpoints: [tcp(6380)],
      portMappings: [mapping({ ...two, containerPort: 6380 })],
    }
    expect(replies(deploy(shell, other, 'two'))).toMatchObject([{ ok: true }])
    expect(places(shell)).toContain('tcp 10.0.0.1:80')
  })

  test('a port of the program’s own: one replica, and the number is nobody else’s', () => {
    const shell = node({ endpoints: [], portMappings: [mapping({ hostPort: 16379 })] }, 'one')
    const [set] = typed(shell.commands, 'apply-backends')
    expect(set?.backends).toMatchObject([{ host: '127.0.0.1', port: 6379 }])
    expect(replies(shell.scale('web', 2))).toMatchObject([{ ok: false, code: 'invalid' }])
    expect(replies(deploy(shell, { endpoints: [tcp(6379)] }, 'two'))).toMatchObject([
      { ok: false, code: 'conflict' },
    ])
  })
})
