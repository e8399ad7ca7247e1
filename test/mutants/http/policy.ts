import { mutantsOf } from '../mutant.ts'

/** Who may come. */
export const policy = [
  ...mutantsOf('core/policy/access.ts', [
    ['a deny refuses nobody', "    if (verdict === 'deny') return false\n", ''],
    ['who is governed may come', 'return isAllowed || !isGoverned', 'return true'],
    ['who is not governed may not come', 'return isAllowed || !isGoverned', 'return isAllowed'],
    [
      'a policy governs all',
      '!sources.some((prefix) => inPrefix(prefix, source))',
      'sources.length < 0',
    ],
    ['only who is of all its networks is governed', '!sources.some(', '!sources.every('],
    [
      'the last policy decides',
      "isAllowed ||= verdict === 'allow'",
      "isAllowed = verdict === 'allow'",
    ],
  ]),
  ...mutantsOf('core/policy/policy.ts', [
    ['people are networks', ".filter(({ kind }) => kind === 'cidr')", ''],
    ['members do not count', '...cidrs, ...networks', '...cidrs'],
    ['a policy of nobody is told', '    if (sources.length === 0) continue\n', ''],
    ['an allow wins', "actions.includes('deny') ? 'deny'", "actions.includes('allow') ? 'allow'"],
    [
      'a rule is for every service',
      "(service === '*' || service === place.service)",
      "(service !== '')",
    ],
    [
      'a rule is for every deployment',
      "(deployment === '*' || deployment === place.deployment)",
      "(deployment !== '')",
    ],
    ['an asterisk is a name', "(service === '*' || service", '(service'],
    [
      'no ports are all ports',
      'ports === undefined ||',
      'ports === undefined || ports.length === 0 ||',
    ],
    ['ports have no names', 'port === place.endpoint || ', ''],
    ['numbers in text are none', 'String(port) === String(place.port)', 'port === place.port'],
    ['a host bit left spoils a network', "parseCidr(text, 'clear')", 'parseCidr(text)'],
    ['an address is a network of all', 'bits: 128', 'bits: 0'],
  ]),
]
