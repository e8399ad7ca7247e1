/** Shell completion, generated from commander's own tree: one model, three printers. */
import type { Argument, Command } from 'commander'

export type Shell = 'bash' | 'zsh' | 'fish'
export const SHELLS: readonly Shell[] = ['bash', 'zsh', 'fish']

/** What can stand in a place of the command line. */
type Kind = 'file' | 'path' | 'directory' | 'services' | 'deployments' | 'words' | 'none'

interface Place {
  readonly kind: Kind
  /** For `words`. */
  readonly words: readonly string[]
  readonly title: string
}

interface Flag {
  readonly names: readonly string[]
  readonly text: string
  readonly value: Place | undefined
}

interface Entry {
  readonly name: string
  readonly text: string
  readonly flags: readonly Flag[]
  readonly places: readonly Place[]
}

export function completionScript(program: Command, shell: Shell): string {
  const entries = entriesOf(program)
  const own = flagsOf(program)
  if (shell === 'bash') return bashScript(entries, own)
  return shell === 'zsh' ? zshScript(entries, own) : fishScript(entries, own)
}

function entriesOf(program: Command): Entry[] {
  const commands = program.createHelp().visibleCommands(program)
  const names = commands.map((command) => command.name())
  return commands.map((command) => ({
    name: command.name(),
    text: command.summary() || command.description(),
    flags: flagsOf(command),
    places: command.registeredArguments.map((argument) => placeOf(argument, names)),
  }))
}

const flagsOf = (command: Command): Flag[] =>
  command
    .createHelp()
    .visibleOptions(command)
    .map((option) => ({
      names: [option.short, option.long].filter((name) => name !== undefined),
      text: option.description,
      value: option.required
        ? placeNamed(/<(\w+)>/.exec(option.flags)?.[1] ?? '', option.argChoices, [])
        : undefined,
    }))

const placeOf = (argument: Argument, commands: readonly string[]): Place =>
  placeNamed(argument.name(), argument.argChoices, commands)

/** The name that help shows decides what is offered. */
function placeNamed(
  title: string,
  choices: readonly string[] | undefined,
  commands: readonly string[],
): Place {
  if (choices !== undefined) return { kind: 'words', words: choices, title }
  if (title === 'COMMAND') return { kind: 'words', words: commands, title }
  return { kind: KIND_OF_NAME[title] ?? 'none', words: [], title }
}

// ---- bash

function bashScript(entries: readonly Entry[], own: readonly Flag[]): string {
  const values = casesOf(entries, (entry) => entry.flags.filter((flag) => flag.value !== undefined))
  return `# bash completion for weir. Load it with: source <(weir completion bash)
_weir() {
  local current="\${COMP_WORDS[COMP_CWORD]}" command="" expects="" flag="" state="" word
  local kind="none" words="" position=0 index
  COMPREPLY=()
  for ((index = 1; index < COMP_CWORD; index++)); do
    word="\${COMP_WORDS[index]}"
    if [[ -n $expects ]]; then
      [[ $word == "=" ]] && continue
      [[ $flag == --state ]] && state="$word"
      expects=""
    elif [[ $word == -* ]]; then
      flag="$word"
      case "$command $word" in
${values.map(({ entry, flag }) => `        ${flag.names.map((name) => `"${entry} ${name}"`).join(' | ')}) expects="${flag.value?.kind}" ;;`).join('\n')}
      esac
    elif [[ -z $command ]]; then
      command="$word"
    else
      position=$((position + 1))
    fi
  done
  [[ $current == "=" ]] && current=""
  if [[ -n $expects ]]; then
    kind="$expects"
  elif [[ $current == -* ]]; then
    kind="words"
    case "$command" in
      "") words="${allNames(own)}" ;;
${entries.map((entry) => `      ${entry.name}) words="${allNames(entry.flags)}" ;;`).join('\n')}
    esac
  elif [[ -z $command ]]; then
    kind="words"
    words="${entries.map((entry) => entry.name).join(' ')}"
  else
    case "$command $position" in
${bashPlaces(entries)}
    esac
  fi
  case "$kind" in
    services | deployments)
      words="$("\${COMP_WORDS[0]}" __complete "$kind" \${state:+--state "$state"} 2> /dev/null)"
      kind="words"
      ;;
  esac
  local IFS=$' \\t\\n'
  if [[ $kind == words ]]; then
    COMPREPLY=($(compgen -W "$words" -- "$current"))
    return
  fi
  IFS=$'\\n'
  case "$kind" in
    file) COMPREPLY=($(compgen -f -X '!*.yaml' -- "$current"; compgen -f -X '!*.yml' -- "$current"; compgen -d -- "$current")) ;;
    path) COMPREPLY=($(compgen -f -- "$current")) ;;
    directory) COMPREPLY=($(compgen -d -- "$current")) ;;
  esac
  compopt -o filenames 2> /dev/null
  return 0
}
complete -F _weir weir
`
}

function casesOf(
  entries: readonly Entry[],
  pick: (entry: Entry) => readonly Flag[],
): { entry: string; flag: Flag }[] {
  return entries.flatMap((entry) => pick(entry).map((flag) => ({ entry: entry.name, flag })))
}

const bashPlaces = (entries: readonly Entry[]): string =>
  entries
    .flatMap(({ name, places }) =>
      places.map(({ kind, words }, position) => {
        const offered = kind === 'words' ? ` words="${words.join(' ')}"` : ''
        return `      "${name} ${position}") kind="${kind}"${offered} ;;`
      }),
    )
    .join('\n')

const allNames = (flags: readonly Flag[]): string => flags.flatMap((flag) => flag.names).join(' ')

// ---- zsh

function zshScript(entries: readonly Entry[], own: readonly Flag[]): string {
  return `#compdef weir
# zsh completion for weir. Load it with: source <(weir completion zsh)
# or keep it in a directory of fpath: weir completion zsh > ~/.zfunc/_weir
_weir_ask() {
  local -a found
  found=(\${(f)"$(weir __complete $1 \${opt_args[--state]:+--state} \${(Q)opt_args[--state]} 2> /dev/null)"})
  compadd -a found
}
_weir_commands() {
  local -a commands
  commands=(
${entries.map((entry) => `    ${quoted(`${entry.name}:${entry.text}`)}`).join('\n')}
  )
  _describe -t commands 'weir command' commands
}
_weir() {
  local curcontext="$curcontext" state
  local -a line
  typeset -A opt_args
  _arguments -C \\
${own.map((flag) => `    ${zshFlag(flag)} \\\n`).join('')}    '1: :_weir_commands' \\
    '*:: :->rest' && return
  [[ $state == rest ]] || return
  case $words[1] in
${entries.map((entry) => zshEntry(entry)).join('\n')}
  esac
}
if [[ $funcstack[1] == _weir ]]; then
  _weir "$@"
else
  compdef _weir weir
fi
`
}

function zshEntry(entry: Entry): string {
  const flags = entry.flags.map((flag) => `      ${zshFlag(flag)} \\\n`).join('')
  const places = entry.places.map(
    (place, index) => `      ${quoted(`${index + 1}:${place.title}:${zshAction(place)}`)} \\\n`,
  )
  return `    ${entry.name})\n      _arguments \\\n${`${flags}${places.join('')}`.replace(/^/gm, '  ').replace(/ \\\n\s*$/, '')}\n      ;;`
}

function zshFlag(flag: Flag): string {
  const text = `[${flag.text.replace(/[[\]:]/g, '\\$&')}]`
  const value = flag.value === undefined ? '' : `:${flag.value.title}:${zshAction(flag.value)}`
  if (flag.names.length === 1) return quoted(`${flag.names[0]}${text}${value}`)
  return `'(${flag.names.join(' ')})'{${flag.names.join(',')}}${quoted(text + value)}`
}

function zshAction({ kind, words }: Place): string {
  switch (kind) {
    case 'file':
      return '_files -g "*.y(a|)ml(-.)"'
    case 'path':
      return '_files'
    case 'directory':
      return '_files -/'
    case 'services':
    case 'deployments':
      return `_weir_ask ${kind}`
    case 'words':
      return `(${words.join(' ')})`
    case 'none':
      return ' '
  }
}

// ---- fish

function fishScript(entries: readonly Entry[], own: readonly Flag[]): string {
  const withValue = new Set(
    casesOf(entries, ({ flags }) => flags)
      .filter(({ flag }) => flag.value !== undefined)
      .flatMap(({ flag }) => flag.names),
  )
  const lines = [
    ...own.map((flag) => fishFlag('test (count (__weir_operands)) = 0', flag)),
    ...entries.map(
      ({ name, text }) =>
        `complete -c weir -n 'test (count (__weir_operands)) = 0' -a ${name} -d ${quoted(text)}`,
    ),
    ...entries.flatMap((entry) => fishEntry(entry)),
  ]
  return `# fish completion for weir. Load it with: weir completion fish | source
# or keep it: weir completion fish > ~/.config/fish/completions/weir.fish
function __weir_operands
    set -l skip 0
    for word in (commandline -opc)[2..-1]
        if test $skip = 1
            set skip 0
            continue
        end
        switch $word
            case ${[...withValue].sort().join(' ')}
                set skip 1
            case '-*'
            case '*'
                echo $word
        end
    end
end
function __weir_on
    set -l operands (__weir_operands)
    test "$operands[1]" = $argv[1]; or return 1
    test (count $argv) = 1; or test (count $operands) = $argv[2]
end
function __weir_state
    set -l words (commandline -opc)
    if set -l index (contains -i -- --state $words)
        echo --state
        echo $words[(math $index + 1)]
    end
end
complete -c weir -f
${lines.join('\n')}
`
}

function fishEntry(entry: Entry): string[] {
  const flags = entry.flags.map((flag) => fishFlag(`__weir_on ${entry.name}`, flag))
  const places = entry.places.flatMap((place, index) => {
    const action = fishAction(place)
    if (action === '') return []
    return [`complete -c weir -n '__weir_on ${entry.name} ${index + 1}' ${action}`]
  })
  return [...flags, ...places]
}

function fishFlag(condition: string, flag: Flag): string {
  const names = flag.names.map((name) =>
    name.startsWith('--') ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`,
  )
  const value = flag.value === undefined ? '' : ` -r ${fishAction(flag.value)}`.trimEnd()
  return `complete -c weir -n ${quoted(condition)} ${names.join(' ')}${value} -d ${quoted(flag.text)}`
}

function fishAction({ kind, words }: Place): string {
  switch (kind) {
    case 'file':
      return "-k -a '(__fish_complete_suffix .yaml .yml)'"
    case 'path':
      return '-F'
    case 'directory':
      return "-a '(__fish_complete_directories)'"
    case 'services':
    case 'deployments':
      return `-a '(weir __complete ${kind} (__weir_state) 2> /dev/null)'`
    case 'words':
      return `-a ${quoted(words.join(' '))}`
    case 'none':
      return ''
  }
}

/** In single quotes, as all three shells read them. */
const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`

const KIND_OF_NAME: Readonly<Record<string, Kind>> = {
  FILE: 'file',
  PATH: 'path',
  DIR: 'directory',
  SERVICE: 'services',
  DEPLOYMENT: 'deployments',
}
