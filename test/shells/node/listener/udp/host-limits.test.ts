import { describe, expect, test } from 'vitest'
import { readHostLimits } from '../../../../../shells/node/listener/udp/host-limits.ts'

const limits = (soft: string): string =>
  [
    'Limit                     Soft Limit           Hard Limit           Units     ',
    'Max processes             63432                63432                processes ',
    `Max open files            ${soft.padEnd(20)} 1048576              files     `,
    '',
  ].join('\n')

const reading = (files: Readonly<Record<string, string>>) => (path: string) => files[path] ?? ''

describe('what the system allows', () => {
  const ROWS: readonly [string, string, string, object][] = [
    ['usual', limits('1024'), '32768\t60999\n', { descriptors: 1_024, localPorts: 28_232 }],
    [
      'no limit, one port',
      limits('unlimited'),
      '40000 40000',
      { descriptors: Number.POSITIVE_INFINITY, localPorts: 1 },
    ],
    ['nothing is said', '', '', { descriptors: undefined, localPorts: undefined }],
    ['something else', 'x', 'y', { descriptors: undefined, localPorts: undefined }],
  ]
  for (const [name, soft, range, found] of ROWS) {
    test(name, () => {
      const read = reading({
        '/proc/self/limits': soft,
        '/proc/sys/net/ipv4/ip_local_port_range': range,
      })
      expect(readHostLimits(read)).toEqual(found)
    })
  }

  test.runIf(process.platform === 'linux')('of this machine', () => {
    const { descriptors, localPorts } = readHostLimits()
    expect(descriptors).toBeGreaterThan(0)
    expect(localPorts).toBeGreaterThan(0)
  })
})
