#!/usr/bin/env node
/** The `weir` command. */
import { runCall } from './call.ts'
import { systemTerminal } from './screen/terminal.ts'

const terminal = systemTerminal()
const exitCode = await runCall(terminal, process.argv.slice(2))
await terminal.drained()
process.exit(exitCode)
