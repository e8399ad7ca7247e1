import { expect, test } from 'vitest'
import { unmetNeeds } from '../../../../core/spec/node/needs.ts'
import { defaultNodeSettings, type NodeSettings } from '../../../../core/spec/node/settings.ts'
import { deploymentOf, fileOf, type Tree, webWith } from '../files.ts'

const needs = (tree: Tree, settings: Partial<NodeSettings> = {}): readonly string[] =>
  unmetNeeds(deploymentOf(tree), { ...defaultNodeSettings, ...settings }).map(
    ({ level, path }) => `${level} ${path.join('.')}`,
  )

const tls = (mode: string, port: number): Tree => ({
  name: mode,
  protocol: 'tcp',
  port,
  stream: { tls: mode },
})

test('what ends TLS needs certificates', () => {
  const tree = webWith({
    endpoints: [
      { name: 'plain', protocol: 'tcp', port: 1 },
      tls('terminate', 2),
      tls('reoriginate', 3),
      tls('passthrough', 4),
      { name: 'https', protocol: 'https', port: 5 },
      { name: 'http', protocol: 'http', port: 6 },
      { name: 'udp', protocol: 'udp', port: 7 },
    ],
  })
  expect(needs(tree)).toEqual([
    'refuse services.web.endpoints.1.stream.tls',
    'refuse services.web.endpoints.2.stream.tls',
    'refuse services.web.endpoints.4.protocol',
  ])
  expect(needs(tree, { certificates: '/certificates' })).toEqual([])
})

test('staying off loopback needs another address to be internal at', () => {
  const never = (expose: string) =>
    webWith({
      localhost_reachability: 'never',
      endpoints: [{ name: 'a', protocol: 'tcp', port: 80, expose }],
    })
  expect(needs(never('internal'))).toEqual(['warn services.web.localhost_reachability'])
  expect(needs(never('internal'), { internalAddresses: ['10.0.0.1'] })).toEqual([])
  expect(needs(never('public'))).toEqual([])
})

test('what is not run needs nothing', () => {
  const job = { rtype: 'job', command: 'x', endpoints: [tls('terminate', 80)] }
  expect(needs(fileOf({ job }))).toEqual([])
})
