import { mutantsOf } from '../mutant.ts'

/** Sets of backends, and choices among them. */
export const backends = [
  ...mutantsOf('core/udp/life/backends.ts', [
    [
      'an old set is answered with its own version',
      "out.push({ type: 'backends-applied', version: inForce })",
      "out.push({ type: 'backends-applied', version })",
    ],
    [
      'a backend that came back is still waited for',
      "for (const member of lingering.keys()) if (member.state !== 'draining') lingering.delete(member)",
      '',
    ],
    [
      'a backend that left with nothing on it is not reported',
      "out.push({ type: 'backend-drained', backend: member.backend.id, version: inForce })",
      '',
    ],
    [
      'a backend that left is drained whoever waits',
      '(state.waitingOn[member.index] ?? 0) === 0',
      'member.index >= 0',
    ],
    [
      'a backend that left is waited for by flows that wait for nothing',
      '(state.waitingOn[member.index] ?? 0) === 0',
      'member.index < 0',
    ],
    ['answers of a backend that left are not waited for', 'now + state.config.lingerMs', 'now'],
    [
      'a backend of the set can be cut',
      "if (member?.state === 'draining') drained(state, member, out)",
      'if (member !== undefined) drained(state, member, out)',
    ],
    [
      'a backend that left cannot be cut',
      "if (member?.state === 'draining') drained(state, member, out)",
      '',
    ],
    ['a wait ends a tick late', 'if (until <= now) drained', 'if (until < now) drained'],
    [
      'a new configuration is that of old flows too',
      'if (configs[configNumber]!.flows > 0) {',
      'if (configNumber < 0) {',
    ],
  ]),
  ...mutantsOf('core/udp/life/choice.ts', [
    [
      'with source-ip, the port counts',
      "affinity.setAddress(client, config.affinity === 'source-ip-port')",
      'affinity.setAddress(client, true)',
    ],
    [
      'with source-ip-port, the port does not count',
      "affinity.setAddress(client, config.affinity === 'source-ip-port')",
      'affinity.setAddress(client, false)',
    ],
    [
      'with source-ip, the backend of before is taken though it may not be chosen',
      'usual?.isCandidate === true &&',
      "usual !== undefined && usual.state !== 'gone' &&",
    ],
    [
      'with source-ip, the backend of before is taken though it just failed',
      ' && !exclude.includes(usual.backend.id)',
      '',
    ],
    ['with source-ip, a shared choice counts nowhere', 'group.take(usual)', ''],
    [
      'another choice is by the configuration of now',
      'const { config } = state.configs[words[at + CONFIG]!]!\n  if (state.keyOf',
      'const { config } = state\n  if (state.keyOf',
    ],
    [
      'with an extractor, another choice is by the key of the last datagram',
      'affinityKey(state, words, at + KEY, last)',
      'affinityKey(state, state.key.words, 0, state.key.last)',
    ],
    [
      'the client is who sent, not who was announced',
      'return announced?.source ?? records.peer(slot)',
      'return records.peer(slot)',
    ],
    ['a backend that left is usable for too long', 'now < until &&', 'now <= until &&'],
    [
      'a backend that left is usable for flows that wait for nothing',
      'now < until && waits(state, slot)',
      'now < until',
    ],
    [
      'a backend that left is not usable',
      'return until !== undefined &&',
      'return until === null &&',
    ],
  ]),
]
