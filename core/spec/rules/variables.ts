/**
 * The variables Weir itself replaces in commands and environments. One that does not exist would
 * reach the program as it is written, and nobody would be told.
 */
import { portVariable } from '../../services/program.ts'
import type { CommandSpec, ServiceSpec } from '../deployment.ts'
import type { Path } from '../problem.ts'
import { isMap } from '../schema/objects.ts'
import type { Reading } from '../schema/reading.ts'
import { alternatives } from '../schema/words.ts'
import { textsAt, writtenAt } from './written.ts'

/** For a process only: nothing is replaced for a container. `tree` is the file as it was written. */
export function checkVariables(
  spec: ServiceSpec,
  tree: unknown,
  path: Path,
  reading: Reading,
): void {
  const ports = ['PORT', ...spec.endpoints.map(({ name }) => portVariable(name))]
  const known: Known = {
    ports: spec.endpoints.length === 0 ? [] : [...new Set(ports)],
    portsKnown: !reading.isSpoilt([...path, 'endpoints']),
  }
  const owners = [
    { at: path, command: spec.command },
    ...spec.replicaGroups.map((group) => ({
      at: reading.pathOf(group),
      command: group.command ?? spec.command,
    })),
  ]
  for (const { at, command } of owners) {
    const inShell = shellSees(spec, command)
    const written = [...at, 'command']
    const parts = isMap(writtenAt(tree, written)) ? [['entrypoint'], ['args']] : [[]]
    for (const part of parts) check(tree, [...written, ...part], known, inShell, reading)
    check(tree, [...at, 'env'], known, () => false, reading)
  }
}

interface Known {
  readonly ports: readonly string[]
  /** False while an endpoint is not understood: its variable may be the one that is meant. */
  readonly portsKnown: boolean
}

/** Which other variables a command reaches: a shell that it starts replaces those of its environment. */
function shellSees(spec: ServiceSpec, command: CommandSpec): (name: string) => boolean {
  const words = [...command.entrypoint, ...command.args]
  if (!words.some((word) => SHELL_OPTION.test(word))) return () => false
  if (spec.envInherit === true) return () => true
  const groups = spec.replicaGroups.flatMap(({ env }) => Object.keys(env))
  const names = new Set([...Object.keys(spec.env), ...groups, ...spec.envInherit, ...MARKS])
  return (name) => names.has(name)
}

function check(
  tree: unknown,
  path: Path,
  known: Known,
  inShell: (name: string) => boolean,
  reading: Reading,
): void {
  for (const { at, text } of textsAt(tree, path)) {
    if (reading.isSpoilt(at)) continue
    const names = [...text.matchAll(VARIABLE)].map(([, braced, bare]) => braced ?? bare ?? '')
    for (const name of new Set(names)) {
      const fault = inShell(name) ? undefined : faultOf(name, known, reading)
      if (fault !== undefined) reading.report(at, fault, 'value')
    }
  }
}

function faultOf(name: string, { ports, portsKnown }: Known, reading: Reading): string | undefined {
  const isPort = name.startsWith('PORT')
  const names = isPort ? ports : NAMES
  if (names.includes(name) || (isPort && !portsKnown)) return undefined
  if (names.length === 0) {
    return `$${name} stands for nothing: the service has no endpoints; add one, or write the port itself`
  }
  const nearest = reading.nearest(name, names)
  const shown = names.slice(0, SHOWN_MAX).map((each) => `$${each}`)
  const advice =
    nearest === undefined
      ? `write ${alternatives(names.length > SHOWN_MAX ? [...shown, '...'] : shown)}`
      : `did you mean $${nearest}?`
  if (MARKS.includes(name)) {
    return `$${name} is not replaced here: it is a mark in the environment; ${advice}`
  }
  return `$${name} stands for nothing; ${advice}`
}

/** What is replaced besides ports. */
const NAMES = ['WEIR_DEPLOYMENT', 'WEIR_SERVICE', 'WEIR_REPLICA', 'WEIR_ROLE']
/** In the environment only: they are known when the program starts, and are Weir's own business. */
const MARKS = ['WEIR_NODE', 'WEIR_INSTANCE']
/** Names of Weir's, `$PORT_http` too: nothing else could be meant by it. `$$PORT` is left alone. */
const VARIABLE = /(?<!\$)\$(?:\{(PORT|(?:PORT|WEIR)_\w*)\}|(PORT(?!\w)|(?:PORT|WEIR)_\w*))/g
/** `sh -c`, `bash -ec`. */
const SHELL_OPTION = /^-[a-z]*c$/
const SHOWN_MAX = 8
