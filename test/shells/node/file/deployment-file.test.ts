import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  admitDeployment,
  jsonSchema,
  loadDeployment,
} from '../../../../shells/node/file/deployment-file.ts'
import { PROBLEMS_MAX } from '../../../../shells/node/file/problem-lines.ts'
import { readYaml } from '../../../../shells/node/file/yaml-tree.ts'

const HEAD = 'version: v1\ndeployment: test\n'

/** What is said of a file called `f`, without the `f:`. */
function said(text: string, by = loadDeployment): readonly string[] {
  const loaded = by(text, 'f')
  return (loaded.ok ? loaded.warnings : loaded.problems).map((line) => line.replace(/^f:/, ''))
}

const tree = (text: string): unknown => readYaml(text).tree

test('a file that is good gives a deployment and no word', () => {
  const text = `${HEAD}services:
  web:
    command: [node, server.mjs]
    endpoints:
      - { name: http, protocol: http, port: 8080 }
`
  for (const load of [loadDeployment, admitDeployment]) {
    expect(load(text, 'f')).toMatchObject({
      ok: true,
      warnings: [],
      deployment: {
        name: 'test',
        services: { web: { command: { args: ['node', 'server.mjs'] } } },
      },
    })
  }
})

test('eight different mistakes are told at their places, in order', () => {
  const text = `version: v1
deployment: shop
services:
  web:
    comand: [node, server.mjs]
    scale: { mode: fixed, replicas: -1 }
    endpoints:
      - { name: http, protocol: htp, port: 8080 }
      - name: sql
        protocol: tcp
        port: 5432
    stop_grace_period: 30
  db:
    command: redis-server
    endpoints:
      - name: sql
        protocol: tcp
        port: 5432
    depends:
      - service: cache
  cache:
    command: "redis 'x"
    depends:
      - { service: bd }
      - service: db
`
  expect(said(text)).toEqual([
    '5:5: unknown key comand in a service; did you mean command?',
    '6:37: replicas must be a whole number from 0 to 10000, not -1',
    '8:33: protocol must be http, https, tcp, udp or websocket, not "htp"; did you mean http?',
    '12:24: stop_grace_period needs a unit: write 30s or 30ms',
    '18:15: endpoint sql of service web has tcp port 5432 already; a tcp port belongs to one service',
    '20:18: cyclic dependency: cache -> db -> cache',
    "22:14: command cannot be split into words: the ' at character 7 is never closed",
    '24:20: there is no service bd in this file; did you mean db?',
  ])
})

describe('places', () => {
  const ROWS: readonly [string, string, string][] = [
    [
      'a missing key is told at what misses it',
      'services:\n  web:\n    endpoints:\n      - port: 1\n        name: a\n    command: x',
      '6:9: missing key protocol',
    ],
    ['a missing key of the file is told at its first', '', '1:1: missing key'],
    [
      'an empty value is told at its key',
      'services:\n  web:\n    command:\n',
      '5:5: command is empty',
    ],
    [
      'a quoted value is told at its quote',
      'services: { web: { command: x, rtype:   "cro" } }',
      '3:41: rtype must be',
    ],
    [
      'a text in lines is told where it begins',
      "services:\n  web:\n    command: |\n      a 'b\n",
      '5:14: command cannot be split',
    ],
    [
      'an item of a list in lines',
      'services:\n  web:\n    command:\n      - a\n      - 5\n',
      '7:9: command[1] must be text',
    ],
    ['a key with a tab and umlauts before it', 'services: { wéb: {}, web: { "ä":\t1 } }', '3:13: '],
  ]
  for (const [name, text, line] of ROWS) {
    test(name, () => {
      const head = text === '' ? '' : HEAD
      expect(said(head + (text || 'services: {}'))[0]).toContain(line)
    })
  }
})

describe('fields whose work is not built yet', () => {
  const text = `${HEAD}services:
  web:
    image: { name: nginx }
    node_mode: shared
`
  test('checking warns of them all', () => {
    expect(said(text)).toEqual([
      '5:5: containers are not built yet; without an image it runs as a process (weir up refuses it)',
      '6:5: there is one machine, which is taken whatever this says',
    ])
    expect(loadDeployment(text, 'f').ok).toBe(true)
  })

  test('running refuses those that change the meaning', () => {
    expect(admitDeployment(text, 'f').ok).toBe(false)
    expect(said(text, admitDeployment)).toEqual([
      '5:5: containers are not built yet; without an image it runs as a process',
    ])
  })

  test('running warns of those that only advise', () => {
    const advice = `${HEAD}services:\n  web:\n    command: x\n    resources:\n      cpu: 1\n`
    expect(admitDeployment(advice, 'f')).toMatchObject({
      ok: true,
      warnings: ['f:6:5: limits are not enforced yet'],
    })
  })
})

const MORE = 'must come before any line that is not indented more'

const UNCLOSED: readonly [string, string, readonly string[]][] = [
  [
    'open brackets',
    `${HEAD}services: { a: [1, 2\n`,
    [
      `3:11: the { that begins here is never closed; its } ${MORE}`,
      `3:16: the [ that begins here is never closed; its ] ${MORE}`,
    ],
  ],
  [
    'an open bracket before a key',
    `${HEAD}services:\n  a:\n    command: [x, y\n    env: {}\n`,
    [`5:14: the [ that begins here is never closed; its ] ${MORE}`],
  ],
  ['an open quote', `${HEAD}services: "a\n`, ['3:11: the " that begins here is never closed']],
  ["an open '", "- a\n- 'b\n- c\n", ["2:3: the ' that begins here is never closed"]],
  [
    'an open quote in brackets',
    `${HEAD}services: { a: [ "x ] }\n`,
    ['3:18: the " that begins here is never closed'],
  ],
  [
    'a bracket closed by another',
    `${HEAD}services: { a: [x } }\n`,
    ['3:16: the [ that begins here is never closed: a } comes before its ]'],
  ],
]

describe('text that is no deployment', () => {
  const ROWS: readonly [string, string, readonly (string | RegExp)[]][] = [
    ['nothing', '', ['1:1: the file is empty; begin with version: v1 and a deployment name']],
    ['comments only', '# hello\n\n', [/^1:1: the file is empty/]],
    ['a mark only', '---\n', [/^1:1: the file is empty/]],
    [
      'a list',
      '- a\n',
      ['1:1: a deployment file is a map that begins with version: v1, not a list'],
    ],
    [
      'a text',
      'hello\n',
      ['1:1: a deployment file is a map that begins with version: v1, not "hello"'],
    ],
    [
      'two documents',
      `${HEAD}---\n${HEAD}`,
      ['3:1: a second document begins here; a file holds one deployment'],
    ],
    ['a tab', `${HEAD}services:\n\tweb: {}\n`, [/^4:1: a tab cannot indent YAML; use spaces/]],
    ...UNCLOSED,
    [
      'UTF-16',
      Buffer.from(`\ufeff${HEAD}`, 'utf16le').toString('utf8'),
      ['1:1: the file is not UTF-8 text here; save it as UTF-8'],
    ],
    [
      'UTF-16 without a mark',
      Buffer.from(HEAD, 'utf16le').toString('utf8'),
      ['1:2: the file is not UTF-8 text here; save it as UTF-8'],
    ],
    [
      'another encoding of one letter',
      Buffer.from(`${HEAD}# gr\xfcn\n`, 'latin1').toString('utf8'),
      ['3:5: the file is not UTF-8 text here; save it as UTF-8'],
    ],
    ['bad indentation', 'a:\n    b: 1\n  c: 2\n', [/^3:\d: /]],
    ['a colon in a text', 'version: v1: v2\n', [/^1:10: /]],
    ['a tag nobody knows', `${HEAD}services: !!thing {}\n`, [/^3:11: not YAML: unresolved tag/i]],
  ]
  for (const [name, text, lines] of ROWS) {
    test(name, () => {
      const matchers = lines.map((line) =>
        typeof line === 'string' ? line : expect.stringMatching(line),
      )
      expect(said(text).slice(0, lines.length)).toEqual(matchers)
    })
  }

  test('what the file holds for a terminal does not reach it', () => {
    const lines = said(`${HEAD}services: "\\\u009b\\\u202e"\n`)
    expect(lines[0]).toMatch(/^3:12: not YAML: invalid escape sequence/)
    for (const line of lines) expect(line).not.toMatch(/[\p{Cc}\p{Cf}]/u)
  })

  test('more than 1 MiB is not read', () => {
    const text = `${HEAD}# ${'x'.repeat(1024 ** 2)}\n`
    expect(said(text)).toEqual(['1:1: the file is larger than 1 MiB'])
    // counted in bytes, not in characters
    expect(said(`${HEAD}# ${'é'.repeat(600_000)}\n`)).toEqual([
      '1:1: the file is larger than 1 MiB',
    ])
  })

  test('what is nested without end is told, not followed', () => {
    for (const text of [
      '['.repeat(20_000),
      `a: ${'['.repeat(100)}${']'.repeat(100)}`,
      '- '.repeat(10_000),
      '{a: '.repeat(20_000),
    ]) {
      expect(said(text)).toEqual([expect.stringMatching(/nested too deeply/)])
    }
  })

  test('brackets that close each other take no longer than they are', () => {
    const text = `${'['.repeat(500)}${'[},'.repeat(100_000)}`
    expect(said(text)[0]).toBe(
      '1:501: the [ that begins here is never closed: a } comes before its ]',
    )
  })

  test('a file that is wrong all over is told up to a limit', () => {
    const keys = Array.from({ length: PROBLEMS_MAX + 100 }, (_, index) => `k${index}: 1\n`)
    const lines = said(HEAD + keys.join(''))
    expect(lines).toHaveLength(PROBLEMS_MAX + 1)
    expect(lines.at(-1)).toBe(`${PROBLEMS_MAX + 3}:1: and 100 more problems`)
  })
})

describe('keys given twice', () => {
  test('are told at the second, beside other problems', () => {
    const text = `${HEAD}services:\n  web: { command: a }\n  web: { command: b, rtype: x }\nversion: v2\n`
    expect(said(text)).toEqual([
      '5:3: web is given twice; the first is in line 4',
      '6:1: version is given twice; the first is in line 1',
    ])
  })

  test('however they are written', () => {
    expect(said(`${HEAD}services: { 1: {}, "1": {} }\n`)).toContain(
      '3:20: "1" is given twice; the first is in line 3'.replace('"1"', '1'),
    )
  })

  test('in tens of thousands take no longer than they are', () => {
    const keys = Array.from({ length: 20_000 }, (_, index) => `  k${index % 19_999}: {}\n`)
    expect(readYaml(`a:\n${keys.join('')}`).problems).toEqual([
      { path: [expect.any(String)], message: 'k0 is given twice; the first is in line 2' },
    ])
  })
})

describe('what a tree is made of', () => {
  const ROWS: readonly [string, string, unknown][] = [
    [
      'texts and numbers',
      'a: 1\nb: "1"\nc: 1.5\nd: true\ne: ~\nf: no\ng: 0x10',
      { a: 1, b: '1', c: 1.5, d: true, e: null, f: 'no', g: 16 },
    ],
    [
      'keys that are no texts',
      '8080: a\ntrue: b\n1.50: c',
      { '8080': 'a', true: 'b', '1.50': 'c' },
    ],
    ['an anchor and its alias', 'a: &x { b: 1 }\nc: *x', { a: { b: 1 }, c: { b: 1 } }],
    ['an anchor named again', 'a: &x 1\nb: *x\nc: &x 2\nd: *x', { a: 1, b: 1, c: 2, d: 2 }],
    [
      'a merge',
      'a: &x { b: 1, c: 2 }\nd: { <<: *x, c: 3 }',
      { a: { b: 1, c: 2 }, d: { b: 1, c: 3 } },
    ],
    [
      'a merge of many, the first wins',
      'a: &x { p: 1 }\nb: &y { p: 2, q: 2 }\nc: { <<: [*x, *y] }',
      { a: { p: 1 }, b: { p: 2, q: 2 }, c: { p: 1, q: 2 } },
    ],
    ['a quoted << is a key', 'a: { "<<": 1 }', { a: { '<<': 1 } }],
    ['a tag is a map with one key', 'affinity: !pin "id=2"', { affinity: { pin: 'id=2' } }],
    ['lines', 'a: |\n  x\n  y\nb: >-\n  x\n  y\n', { a: 'x\ny\n', b: 'x y' }],
    ['a byte order mark', '\ufeffa: 1', { a: 1 }],
    ['line ends of another system', 'a: 1\r\nb: 2\r\n', { a: 1, b: 2 }],
  ]
  for (const [name, text, value] of ROWS) test(name, () => expect(tree(text)).toEqual(value))

  test('a key __proto__ is a key', () => {
    expect(Object.keys(tree('__proto__: { a: 1 }') as object)).toEqual(['__proto__'])
    expect(said('__proto__: { version: v1 }')).toContainEqual(
      expect.stringMatching(/unknown key __proto__/),
    )
  })
})

describe('aliases', () => {
  test('each copy is told of at its own alias, or where its text is', () => {
    const text = `${HEAD}services:
  a: &base
    command: x
    stop_grace_period: 5
  b:
    <<: *base
    rtype: &kind servce
  c:
    command: x
    rtype: *kind
`
    expect(said(text)).toEqual([
      '6:24: stop_grace_period needs a unit: write 5s or 5ms',
      '9:18: rtype must be service, job or cron, not "servce"; did you mean service?',
      '12:12: rtype must be service, job or cron, not "servce"; did you mean service?',
    ])
  })

  test('to nothing, and to themselves', () => {
    expect(said(`${HEAD}services: *none\n`)[0]).toMatch(/^3:11: "\*none" stands for nothing/)
    for (const text of [
      'services: &a { web: *a }',
      'services: &a { web: [1, *a] }',
      'services: &a [*a]',
    ]) {
      expect(said(`${HEAD}${text}\n`)[0]).toMatch(
        /^3:\d+: "\*a" stands for something it is itself a part of/,
      )
    }
    expect(said(`${HEAD}services: &a { <<: *a }\n`)[0]).toMatch(/^3:20: << takes a map/)
  })

  test('that multiply are bounded', () => {
    const bomb = ['a0: &a0 [x, x, x, x, x, x, x, x, x]']
    for (let level = 1; level < 12; level++) {
      bomb.push(
        `a${level}: &a${level} [${Array(9)
          .fill(`*a${level - 1}`)
          .join(', ')}]`,
      )
    }
    expect(said(bomb.join('\n'))).toEqual([
      expect.stringMatching(/more than 200000 values in one file/),
    ])

    const merges = ['a0: &a0 {}']
    for (let level = 1; level < 30; level++) {
      merges.push(`a${level}: &a${level} { <<: [*a${level - 1}, *a${level - 1}] }`)
    }
    expect(said(merges.join('\n'))).toEqual([
      expect.stringMatching(/more than 200000 values in one file/),
    ])
  })
})

test('a thousand services are loaded, each mistake at its line', () => {
  const services = Array.from(
    { length: 1000 },
    (_, index) => `  s${index}:
    command: node server.mjs
    endpoints: [{ name: http, protocol: http, port: ${10_000 + index} }]
    evn: {}
`,
  )
  const lines = said(`${HEAD}services:\n${services.join('')}`)
  expect(lines).toHaveLength(1000)
  expect(lines[999]).toBe('4003:5: unknown key evn in a service; did you mean env?')
})

test('any text is answered with lines to jump to, never thrown at', () => {
  const pieces = fc.constantFrom(
    ...[
      'version: v1\n',
      'services:\n',
      '  a:\n',
      '    ',
      '- ',
      '[',
      ']',
      '{',
      '}',
      ': ',
      '\n',
      '\t',
    ],
    ...[
      '&a ',
      '*a ',
      '<<: ',
      '!x ',
      '"',
      "'",
      '|',
      '>',
      '#',
      '---\n',
      '%YAML 1.1\n',
      '? ',
      'x',
      '1',
      '\u0000',
    ],
  )
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(pieces).map((all) => all.join('')),
      ),
      (text) => {
        const loaded = loadDeployment(text, 'f')
        const lines = loaded.ok ? loaded.warnings : loaded.problems
        if (!loaded.ok) expect(lines.length).toBeGreaterThan(0)
        for (const line of lines) expect(line).toMatch(/^f:[1-9]\d*:[1-9]\d*: ./)
      },
    ),
    { numRuns: 1000 },
  )
})

test('the JSON Schema comes along', () => {
  expect(jsonSchema()).toMatchObject({ title: 'Weir deployment file' })
})
