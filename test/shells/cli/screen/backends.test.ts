import { expect, test } from 'vitest'
import { backendLines } from '../../../../shells/cli/screen/backends.ts'
import { widthOf } from '../../../../shells/cli/screen/width.ts'
import { backendRow } from '../sample-view.ts'

const MANY = [
  backendRow('web', 1, { live: 12, idle: 3 }),
  backendRow('web', 2, { state: 'down', failures: 7 }),
  backendRow('web', 3, { state: 'draining', live: 1 }),
  backendRow('db', 1, { endpoint: 'sql', protocol: 'tcp', strategy: 'least_connections', live: 4 }),
  backendRow('dns', 1, { endpoint: 'dns', protocol: 'udp', strategy: 'hrw', live: 1, address: '' }),
]

test('backends as a table: requests, connections or flows, and what only some have', () => {
  expect(backendLines(MANY, { colour: false })).toEqual([
    'SERVICE  ENDPOINT  PROTOCOL  STRATEGY           BACKEND  ADDRESS          STATE       LIVE  IDLE  FAILURES',
    'web      http      http      round_robin        web-1    127.0.0.1:20001  ready         12     3         0',
    'web      http      http      round_robin        web-2    127.0.0.1:20002  down           0     0         7',
    'web      http      http      round_robin        web-3    127.0.0.1:20003  draining       1     0         0',
    'db       sql       tcp       least_connections  db-1     127.0.0.1:20001  ready          4               0',
    'dns      dns       udp       hrw                dns-1                     ready     1 flow',
  ])
})

test('fits the terminal, and colours tell who takes traffic', () => {
  for (const line of backendLines(MANY, { colour: false, width: 80 })) {
    expect(widthOf(line)).toBeLessThanOrEqual(80)
  }
  const [, ready, down, draining] = backendLines(MANY, { colour: true })
  expect(ready).toContain('\x1b[32mready\x1b[39m')
  expect(down).toContain('\x1b[31mdown\x1b[39m')
  expect(draining).toContain('\x1b[33mdraining\x1b[39m')
})
