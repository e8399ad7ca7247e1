/**
 * The command tree: what can be called, its help, and which module does the work. The modules are
 * loaded only when their command runs, so that help and completion answer at once.
 */
import { styleText } from 'node:util'
import { Argument, Command, Option } from 'commander'
import type { FlowSort } from '../node/operator/flows.ts'
import { STATE_DIRECTORY, wholeNumber } from './arguments.ts'
import { completionScript, SHELLS, type Shell } from './completion.ts'
import {
  callError,
  examples,
  fileArgument,
  jsonOption,
  nodeFileOption,
  REPLICAS_MAX,
  replicaOption,
  stateOption,
} from './options.ts'
import type { Terminal } from './screen/terminal.ts'
import { weirVersion } from './version.ts'

/** Options of the commands that talk to a running node, as commander parsed them. */
export interface NodeOptions {
  readonly state?: string
  readonly json?: boolean
}

interface FlowOptions {
  readonly endpoint?: string
  readonly client?: string
  readonly backend?: string
  readonly sort: FlowSort
  readonly limit: number
}

export type Finish = (exitCode: number) => void

/** The whole tree, for a call with these words. `finish` gets the exit code of what ran. */
export function weirProgram(terminal: Terminal, words: readonly string[], finish: Finish): Command {
  const program = new Command('weir')
    .description('Runs the services of one machine from a deployment file.')
    .helpOption('-h, --help', 'show help')
    .version(weirVersion(), '-V, --version', 'print the version')
    .configureHelp({ styleTitle: (text) => styleText('bold', text, { validateStream: false }) })
    .configureOutput({
      writeOut: terminal.out,
      writeErr: terminal.error,
      outputError: (text, write) => write(`${callError(text, words)}\n`),
    })
    .exitOverride()
  program.addHelpText('after', examples('weir up', 'weir ps', 'weir logs web --follow'))
  addRunning(program, terminal, finish)
  addLooking(program, terminal, finish)
  addTraffic(program, terminal, finish)
  addChanging(program, terminal, finish)
  addTools(program, terminal, finish)
  addSimulator(program, words, finish)
  addCompletion(program, terminal, finish)
  program.helpCommand('help [COMMAND]', 'show help')
  return program
}

function addRunning(program: Command, terminal: Terminal, finish: Finish): void {
  program.commandsGroup('Run:')
  program
    .command('up')
    .summary('run a deployment here until Ctrl-C')
    .description(
      'Starts a node in the foreground and deploys FILE to it. Ctrl-C (or SIGTERM) finishes the ' +
        'work in hand and stops, counting down to the time when what is left is cut; a second one ' +
        'stops at once.',
    )
    .addArgument(fileArgument())
    .addOption(
      stateOption(`state directory (default: WEIR_STATE, or ${STATE_DIRECTORY} beside FILE)`),
    )
    .addOption(
      new Option('--seed <N>', 'seed of every random choice; the default is drawn anew').argParser(
        wholeNumber(0, SEED_MAX),
      ),
    )
    .addOption(nodeFileOption('settings of the node: certificates, addresses, metrics and more'))
    .addHelpText(
      'after',
      examples('weir up', 'weir up shop/weir.yaml --state /var/lib/shop --node node.yaml'),
    )
    .action(async (file: string, options: { state?: string; seed?: number; node?: string }) => {
      const { up } = await import('./commands/up.ts')
      finish(await up(terminal, file, options))
    })
  program
    .command('check')
    .summary('find the mistakes in a deployment file')
    .description(
      'Validates FILE and prints every problem as FILE:LINE:COLUMN: message. With --node the node ' +
        'file is checked, too, and whether it has what FILE needs.',
    )
    .addArgument(fileArgument())
    .addOption(nodeFileOption('node file to check with it'))
    .addOption(jsonOption())
    .addHelpText(
      'after',
      examples('weir check', 'weir check --node node.yaml', 'weir check shop/weir.yaml --json'),
    )
    .action(async (file: string, options: { json?: boolean; node?: string }) => {
      const { check } = await import('./commands/check.ts')
      finish(check(terminal, file, options))
    })
  program
    .command('deploy')
    .summary('bring a deployment to a running node, or change it there')
    .description('Sends FILE to the running node and waits until its services are ready.')
    .addArgument(fileArgument())
    .option('--no-wait', 'return as soon as the node has accepted the file')
    .addOption(stateOption())
    .addOption(jsonOption())
    .addHelpText('after', examples('weir deploy', 'weir deploy shop/weir.yaml --no-wait'))
    .action(async (file: string, options: NodeOptions & { wait: boolean }) => {
      const { deploy } = await import('./commands/change.ts')
      finish(await deploy(terminal, file, options))
    })
  program
    .command('down')
    .summary('stop the running node and everything on it')
    .description(
      'Finishes the work in hand, stops every service, and waits until the node is gone. Says how ' +
        'many connections and replicas are left, and when they are cut. Ctrl-C ends the waiting, ' +
        'not the stop.',
    )
    .option('--now', 'stop at once, without finishing the work in hand')
    .addOption(stateOption())
    .addOption(jsonOption())
    .addHelpText('after', examples('weir down', 'weir down --now'))
    .action(async (options: NodeOptions & { now?: boolean }) => {
      const { down } = await import('./commands/down.ts')
      finish(await down(terminal, options))
    })
}

function addLooking(program: Command, terminal: Terminal, finish: Finish): void {
  program.commandsGroup('Look:')
  const views = [
    ['status', 'the node, its deployments and their services'],
    ['ps', 'every replica: state, health, process, address, age'],
    ['listeners', 'every socket the node listens on, or is going to'],
    ['routes', 'where HTTP requests go: by port, host and path'],
  ] as const
  for (const [name, summary] of views) {
    program
      .command(name)
      .summary(summary)
      .description(`Shows ${summary}.`)
      .addOption(stateOption())
      .addOption(jsonOption())
      .addHelpText('after', examples(`weir ${name}`, `weir ${name} --json`))
      .action(async (options: NodeOptions) => {
        const { show } = await import('./commands/show.ts')
        finish(await show(terminal, name, options))
      })
  }
  program
    .command('logs')
    .summary('what the services print')
    .description('Prints the latest lines of every service, or of one, oldest first.')
    .addArgument(new Argument('[SERVICE]', 'service, or deployment/service (default: all)'))
    .option('-f, --follow', 'go on with new lines until Ctrl-C')
    .addOption(
      new Option('-n, --tail <N>', 'how many lines to begin with')
        .argParser(wholeNumber(0, TAIL_MAX))
        .default(TAIL_DEFAULT),
    )
    .addOption(replicaOption('only the replica with this number'))
    .option('-t, --timestamps', 'print the time of each line')
    .addOption(stateOption())
    .addOption(jsonOption('one JSON object a line'))
    .addHelpText(
      'after',
      examples('weir logs', 'weir logs web --follow --tail 20', 'weir logs web --replica 2'),
    )
    .action(async (service: string | undefined, options: NodeOptions & { tail: number }) => {
      const { logs } = await import('./commands/logs.ts')
      finish(await logs(terminal, service, options))
    })
}

function addTraffic(program: Command, terminal: Terminal, finish: Finish): void {
  program
    .command('backends')
    .summary('who is behind each endpoint, and what goes there')
    .description('Shows the replicas behind the endpoints of every service, or of one.')
    .addArgument(new Argument('[SERVICE]', 'service, or deployment/service (default: all)'))
    .addOption(stateOption())
    .addOption(jsonOption())
    .addHelpText('after', examples('weir backends', 'weir backends web --json'))
    .action(async (service: string | undefined, options: NodeOptions) => {
      const { backends } = await import('./commands/flows.ts')
      finish(await backends(terminal, service, options))
    })
  program
    .command('flows')
    .summary('who talks to which replica over UDP')
    .description('Shows the flows of the UDP endpoints of every service, or of one.')
    .addArgument(new Argument('[SERVICE]', 'service, or deployment/service (default: all)'))
    .option('--endpoint <NAME>', 'only those of the endpoint with this name')
    .option('--client <ADDRESS>', 'only those of an address, ADDRESS:PORT or network')
    .option('--backend <REPLICA>', 'only those to a replica: its number, or dns-1')
    .addOption(
      new Option('--sort <ORDER>', 'what comes first').choices(FLOW_SORTS).default(FLOW_SORTS[0]),
    )
    .addOption(
      new Option('-n, --limit <N>', 'at most so many')
        .argParser(wholeNumber(0, FLOWS_LIMIT_MAX))
        .default(FLOWS_LIMIT_DEFAULT),
    )
    .addOption(stateOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      examples(
        'weir flows',
        'weir flows dns --sort bytes --limit 10',
        'weir flows --client 10.0.0.0/8',
      ),
    )
    .action(async (service: string | undefined, options: NodeOptions & FlowOptions) => {
      const { flows } = await import('./commands/flows.ts')
      finish(await flows(terminal, service, options))
    })
  program
    .command('metrics')
    .summary('counters of the endpoints, for Prometheus')
    .description("Prints the node's metrics in Prometheus' text format.")
    .addOption(stateOption())
    .addHelpText('after', examples('weir metrics', 'weir metrics | grep dropped'))
    .action(async (options: NodeOptions) => {
      const { metrics } = await import('./commands/flows.ts')
      finish(await metrics(terminal, options))
    })
}

function addChanging(program: Command, terminal: Terminal, finish: Finish): void {
  program.commandsGroup('Change:')
  program
    .command('scale')
    .summary('run N replicas of a service, until its next deploy')
    .description(
      'Runs N replicas of SERVICE until it is deployed again. A service that sleeps when nobody ' +
        'comes stays awake until then; 0 sends it to sleep.',
    )
    .addArgument(new Argument('<SERVICE>', 'service, or deployment/service'))
    .addArgument(new Argument('<N>', 'replicas').argParser(wholeNumber(0, REPLICAS_MAX)))
    .addOption(stateOption())
    .addOption(jsonOption())
    .addHelpText('after', examples('weir scale web 5', 'weir scale shop/web 0'))
    .action(async (service: string, replicas: number, options: NodeOptions) => {
      const { scale } = await import('./commands/change.ts')
      finish(await scale(terminal, service, replicas, options))
    })
  program
    .command('restart')
    .summary('replace the replicas of a service, one after the other')
    .description('Replaces every replica of SERVICE by a new one, or only the numbered one.')
    .addArgument(new Argument('<SERVICE>', 'service, or deployment/service'))
    .addOption(replicaOption('only the replica with this number'))
    .addOption(stateOption())
    .addOption(jsonOption())
    .addHelpText('after', examples('weir restart web', 'weir restart web --replica 2'))
    .action(async (service: string, options: NodeOptions & { replica?: number }) => {
      const { restart } = await import('./commands/change.ts')
      finish(await restart(terminal, service, options))
    })
  program
    .command('remove')
    .summary('stop a deployment and free its ports')
    .description(
      'Stops every service of DEPLOYMENT and waits until all of it is gone and its ports are free.',
    )
    .addArgument(new Argument('<DEPLOYMENT>', 'name, as `weir status` shows it'))
    .addOption(stateOption())
    .addOption(jsonOption())
    .addHelpText('after', examples('weir remove shop'))
    .action(async (deployment: string, options: NodeOptions) => {
      const { remove } = await import('./commands/change.ts')
      finish(await remove(terminal, deployment, options))
    })
}

function addTools(program: Command, terminal: Terminal, finish: Finish): void {
  program.commandsGroup('Tools:')
  program
    .command('replay')
    .summary("verify a node's journal")
    .description(
      'Feeds a journal to a node machine again and says `identical`, or names the first record ' +
        'that differs.',
    )
    .addArgument(
      new Argument(
        '[PATH]',
        'journal directory or file (default: the journal of the state directory)',
      ),
    )
    .option('--show', 'list the records')
    .addOption(stateOption())
    .addOption(jsonOption())
    .addHelpText(
      'after',
      examples('weir replay .weir/journal', 'weir replay .weir/journal/000001.jsonl --show'),
    )
    .action(async (path: string | undefined, options: NodeOptions & { show?: boolean }) => {
      const { replay } = await import('./commands/replay.ts')
      finish(await replay(terminal, path, options))
    })
  program
    .command('schema')
    .summary('print the JSON Schema of deployment files')
    .description('Prints the JSON Schema of deployment files; editors complete and check with it.')
    .option('--node', 'the schema of node files instead')
    .addHelpText(
      'after',
      examples('weir schema > weir.schema.json', 'weir schema --node > node.schema.json'),
    )
    .action(async (options: { node?: boolean }) => {
      const { schema } = await import('./commands/check.ts')
      finish(schema(terminal, options))
    })
  program
    .command('version')
    .summary('print the versions of Weir and Node')
    .description('Prints the versions of Weir and Node.')
    .addOption(jsonOption())
    .addHelpText('after', examples('weir version', 'weir version --json'))
    .action(({ json }: { json?: boolean }) => {
      const versions = { weir: weirVersion(), node: process.versions.node }
      terminal.out(
        json ? `${JSON.stringify(versions)}\n` : `weir ${versions.weir} (node ${versions.node})\n`,
      )
      finish(0)
    })
}

function addSimulator(program: Command, words: readonly string[], finish: Finish): void {
  program
    .command('sim')
    .summary('run the simulator')
    .description('Runs the real machines in an invented world with faults, drawn from seeds.')
    .allowUnknownOption()
    .allowExcessArguments()
    .option('--seeds <RANGE>', 'run these seeds, A..B')
    .option('--steps <N>', 'steps of each run')
    .option('--seed <N>', 'run one seed')
    .addOption(
      new Option('--only <WORLD>', 'run one of the worlds').choices(['node', 'udp', 'http']),
    )
    .option('--trace [FILE]', 'with --seed: write every record of the run as a line of JSON')
    .addOption(jsonOption('print results as JSON, one line each'))
    .addHelpText(
      'after',
      examples('weir sim --seeds 0..1000 --steps 500', 'weir sim --seed 42 --trace'),
    )
    .action(async () => {
      const { main } = await import('../../sim/run.ts')
      // the simulator reads its words itself; the options above are for help and completion
      finish(await main(words.slice(words.indexOf('sim') + 1)))
    })
}

function addCompletion(program: Command, terminal: Terminal, finish: Finish): void {
  program
    .command('completion')
    .summary('print a shell completion script')
    .description('Prints a script that completes commands, options, files and running services.')
    .addArgument(new Argument('<SHELL>', 'which shell').choices(SHELLS))
    .addHelpText(
      'after',
      examples(
        'source <(weir completion bash)',
        'weir completion zsh > ~/.zfunc/_weir',
        'weir completion fish > ~/.config/fish/completions/weir.fish',
      ),
    )
    .action((shell: Shell) => {
      terminal.out(completionScript(program, shell))
      finish(0)
    })
  // asked by the scripts while somebody types: prints what it finds and never complains
  program
    .command('__complete', { hidden: true })
    .argument('<KIND>')
    .option('--state <DIR>')
    .action(async (kind: string, options: NodeOptions) => {
      const { complete } = await import('./commands/complete.ts')
      finish(await complete(terminal, kind, options))
    })
}

const SEED_MAX = 0xffff_ffff
const TAIL_DEFAULT = 100
const TAIL_MAX = 1_000_000
// As the node answers them; not imported, so that help and completion load nothing of it.
const FLOW_SORTS = ['age', 'client', 'backend', 'bytes', 'datagrams', 'expiry'] as const
const FLOWS_LIMIT_DEFAULT = 100
const FLOWS_LIMIT_MAX = 10_000
