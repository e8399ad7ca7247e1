/** What runs: command lines, images, environments. */
import type { CommandSpec, ImageSpec } from '../deployment.ts'
import { parseEnvValue } from '../grammar/env.ts'
import { VARIABLE_NAME, variableNameFault } from '../grammar/names.ts'
import { splitWords } from '../grammar/words.ts'
import type { Path } from '../problem.ts'
import { forms, list, record } from '../schema/collections.ts'
import { byDefault, object, optional, required } from '../schema/objects.ts'
import type { Reading } from '../schema/reading.ts'
import { anyText, oneOf, text } from '../schema/scalars.ts'
import { given, mapped, type Shape } from '../schema/shape.ts'
import { quote, subject } from '../schema/words.ts'

const words = list(anyText, 'a list of words')

const commandObject = mapped(
  object('command', 'a command', {
    entrypoint: optional(words, 'The program and its first arguments.'),
    args: optional(
      words,
      'More arguments. Without an entrypoint these are the whole command, of an image too.',
    ),
    workdir: optional(
      text('a directory'),
      'Where it runs; a relative one starts from the directory of the deployment file.',
    ),
  }),
  ({ entrypoint = [], args = [], workdir }): CommandSpec => ({
    entrypoint,
    args,
    ...given({ workdir }),
  }),
)

const commandOf = (args: readonly string[]): CommandSpec => ({ entrypoint: [], args })

const someText = text('a command', {
  fault: (written) =>
    written.trim() === ''
      ? 'is empty; say what to run, such as command: node server.mjs'
      : undefined,
})

const commandText: Shape<CommandSpec> = mapped(someText, (written, path, reading) => {
  const split = splitWords(written)
  if (split.ok) return commandOf(split.words)
  reading.report(path, `${subject(path)} cannot be split into words: ${split.reason}`, 'value')
  return undefined
})

/** A list, a shell-like text, or entrypoint and args apart; the first word must say something. */
export const command: Shape<CommandSpec> = mapped(
  forms<CommandSpec>('a list of words, one text, or a map with entrypoint and args', {
    list: mapped(words, commandOf),
    text: commandText,
    map: commandObject,
  }),
  (read, path, reading) => {
    const [program] = [...read.entrypoint, ...read.args]
    if (program !== '' || reading.isSpoilt(path)) return read
    reading.report(path, `${subject(path)} begins with an empty word; name the program first`)
    return undefined
  },
)

const imageObject = object('image', 'an image', {
  name: required(
    text('an image reference such as nginx:1.27', {
      fault: (name) =>
        /^\S+$/.test(name)
          ? undefined
          : `must be an image reference without spaces, not ${quote(name)}`,
    }),
    'OCI reference of the image.',
  ),
  pull_policy: byDefault(
    oneOf(['always', 'newer', 'if_not_present', 'never']),
    'if_not_present',
    'When it is pulled: every time; to see whether it changed; only when it is missing; never.',
  ),
  source_policy: byDefault(
    oneOf(['local_first', 's3_first', 'remote_only', 'local_only']),
    'local_first',
    'In which order the stores are asked for it.',
  ),
})

export const image: Shape<ImageSpec> = mapped(
  forms('a map with a name', { map: imageObject, text: imageText() }),
  (read): ImageSpec => ({
    name: read.name,
    pullPolicy: read.pull_policy,
    sourcePolicy: read.source_policy,
  }),
)

/** The short form other tools take is refused with the long one written out. */
function imageText(): typeof imageObject {
  return {
    what: imageObject.what,
    read(value, path, reading) {
      const offer = `{ name: ${quote(String(value))} }`
      reading.report(path, `${subject(path)} must be a map; write image: ${offer}`, 'value')
      return undefined
    },
    describe: imageObject.describe,
  }
}

const variable: Shape<string> = mapped(anyText, (value, path, reading) =>
  checkReference(value, path, reading),
)

function checkReference(value: string, path: Path, reading: Reading): string | undefined {
  const parsed = parseEnvValue(value)
  if (parsed.type !== 'fault') return value
  reading.report(path, `${subject(path)} ${parsed.reason}`, 'value')
  return undefined
}

export const env = record(variable, 'a map from variables to texts', {
  pattern: VARIABLE_NAME,
  fault: variableNameFault,
})
