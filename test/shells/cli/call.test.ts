import { describe, expect, test, vi } from 'vitest'
import { callWeir } from './call-weir.ts'

// the words of some calls make them load everything there is
vi.setConfig({ testTimeout: 120_000 })

const COMMANDS = [
  'up',
  'check',
  'deploy',
  'down',
  'status',
  'ps',
  'listeners',
  'routes',
  'logs',
  'backends',
  'flows',
  'metrics',
  'scale',
  'restart',
  'remove',
  'replay',
  'schema',
  'version',
  'sim',
  'completion',
]

describe('help', () => {
  test('lists every command', async () => {
    const { code, out, err } = await callWeir(['--help'])
    expect([code, err]).toEqual([0, ''])
    const listed = [...out.matchAll(/^ {2}([a-z]+) /gm)].map(([, name]) => name)
    expect(listed.filter((name) => name !== 'weir')).toEqual([...COMMANDS, 'help'])
  })

  for (const command of COMMANDS) {
    test(`weir ${command} --help says what it does, with an example`, async () => {
      const { code, out, err } = await callWeir([command, '--help'])
      expect([code, err]).toEqual([0, ''])
      expect(out).toMatch(new RegExp(`^Usage: weir ${command}`))
      expect(out).toMatch(new RegExp(`Examples?:\n {2}.*weir ${command}`))
      expect(out).not.toContain('\x1b')
    })
  }

  test('without a command it is printed as an error', async () => {
    const { code, out, err } = await callWeir([])
    expect([code, out, err.split('\n')[0]]).toEqual([2, '', 'Usage: weir [options] [command]'])
  })
})

describe('a wrong call is one line and exit code 2', () => {
  const rows: readonly [words: string[], line: string][] = [
    [['lgos'], "unknown command 'lgos' (Did you mean logs?)"],
    [['launch-it'], "unknown command 'launch-it'; see weir --help"],
    [['ps', '--jsno'], "unknown option '--jsno' (Did you mean --json?)"],
    [['scale', 'web'], "missing required argument 'N'; see weir scale --help"],
    [
      ['scale', 'web', 'many'],
      "command-argument value 'many' is invalid for argument 'N'. " +
        'Give a whole number from 0 to 10000; see weir scale --help',
    ],
    [
      ['logs', '--tail', '1.5'],
      "option '-n, --tail <N>' argument '1.5' is invalid. " +
        'Give a whole number from 0 to 1000000; see weir logs --help',
    ],
    [
      ['status', 'everything'],
      "too many arguments for 'status'. Expected 0 arguments but got 1; see weir status --help",
    ],
    [
      ['completion', 'tcsh'],
      "command-argument value 'tcsh' is invalid for argument 'SHELL'. " +
        'Allowed choices are bash, zsh, fish; see weir completion --help',
    ],
    [
      ['check', 'nowhere.yaml'],
      'there is no file nowhere.yaml: name the deployment file, or create it',
    ],
    [
      ['up', 'nowhere.yaml'],
      'there is no file nowhere.yaml: name the deployment file, or create it',
    ],
    [['check', '/'], '/ is a directory: name the deployment file, /weir.yaml'],
    [
      ['up', '--state', ''],
      "option '--state <DIR>' argument '' is invalid. Name a directory; see weir up --help",
    ],
    [
      ['ps', '--state='],
      "option '--state <DIR>' argument '' is invalid. Name a directory; see weir ps --help",
    ],
    [['replay', 'nowhere'], 'there is no journal at nowhere: name a journal file or directory'],
  ]
  for (const [words, line] of rows) {
    test(`weir ${words.join(' ')}`, async () => {
      expect(await callWeir(words)).toEqual({ code: 2, out: '', err: `weir: ${line}\n` })
    })
  }
})
