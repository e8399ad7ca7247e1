/** `weir up`: a node in the foreground, from the first line to the last signal. */
import { writeSync } from 'node:fs'
import { Effect } from 'effect'
import type { NodeView } from '../../../core/node/view.ts'
import type { NodeSettings } from '../../../core/spec/node/settings.ts'
import { admitDeployment } from '../../node/file/deployment-file.ts'
import {
  type NodeHandle,
  type NodeStartError,
  type SettledAnswer,
  startNode,
} from '../../node/run.ts'
import { readSource, type Source, stateForNode } from '../arguments.ts'
import { DONE, FAILED, failed } from '../failure.ts'
import { countText, endpointsOf, isSettled, reachable, serviceNames } from '../screen/describe.ts'
import { SHOW_CURSOR } from '../screen/live-table.ts'
import { SteadyOutput } from '../screen/output.ts'
import type { Terminal } from '../screen/terminal.ts'
import { weirVersion } from '../version.ts'
import { nodeSettings } from './check.ts'
import { drainWatch } from './drain-watch.ts'
import { livePresenter, type Presenter, plainPresenter } from './presenter.ts'
import { printProblems, printWarnings } from './problems.ts'
import { type StopSignals, stopSignals } from './stop-signals.ts'

export interface UpOptions {
  readonly state?: string
  readonly seed?: number
  /** The node file. */
  readonly node?: string
}

export async function up(terminal: Terminal, file: string, options: UpOptions): Promise<number> {
  // before the node starts: a file with mistakes must not touch what an earlier life left
  const node = nodeSettings(options.node, file)
  const source = readSource(file)
  if (!node.ok) {
    printProblems(terminal, node.problems)
    return FAILED
  }
  const { settings } = node
  const admitted = admitDeployment(source.text, source.file, settings, source.directory)
  if (!admitted.ok) {
    printProblems(terminal, admitted.problems)
    return FAILED
  }
  printWarnings(terminal, [...node.warnings, ...admitted.warnings])
  const signals = stopSignals(process)
  const output = new SteadyOutput(process.stdout.fd)
  try {
    return await Effect.runPromise(
      Effect.scoped(foreground(terminal, source, { ...options, settings }, output, signals)),
    )
  } finally {
    await output.flush(FLUSH_MS)
    signals.release()
  }
}

const foreground = (
  terminal: Terminal,
  source: Source,
  options: UpOptions & { readonly settings: NodeSettings },
  output: SteadyOutput,
  signals: StopSignals,
) =>
  Effect.gen(function* () {
    const stateDirectory = stateForNode(options.state, source.directory)
    // until there is a node there is nothing to draw a table of
    let presenter = plainPresenter(output, terminal.colour, terminal.interactive)
    const node = yield* startNode({
      stateDirectory,
      version: weirVersion(),
      settings: options.settings,
      log: (level, text) => presenter.notice({ at: new Date().toISOString(), level, text }),
      ...(options.seed === undefined ? {} : { seed: options.seed }),
    })
    if (terminal.interactive) presenter = drawLive(terminal, output, node)
    yield* Effect.addFinalizer(() => Effect.sync(() => presenter.close()))
    return yield* Effect.promise(() => runNode(node, source, presenter, signals))
  }).pipe(Effect.mapError(startFailure))

/** The table, redrawn also when the terminal changes its size; the cursor comes back at any exit. */
function drawLive(terminal: Terminal, output: SteadyOutput, node: NodeHandle): Presenter {
  const unicode = process.env.TERM !== 'linux'
  const presenter = livePresenter(output, terminal, () => node.view(), unicode)
  const resized = () => presenter.changed()
  const showCursor = () => {
    try {
      writeSync(process.stdout.fd, SHOW_CURSOR)
    } catch {
      // the terminal is gone, and its cursor with it
    }
  }
  process.stdout.on('resize', resized)
  process.once('exit', showCursor)
  return {
    ...presenter,
    close: () => {
      process.stdout.off('resize', resized)
      presenter.close()
    },
  }
}

/**
 * Deploys, says when all is ready, and waits for the end. Exit code: 0 after a clean stop, 1 when
 * the deployment was refused, the stop was cut short, or the node failed.
 */
export async function runNode(
  node: NodeHandle,
  source: Source,
  presenter: Presenter,
  signals: StopSignals,
): Promise<number> {
  let aborted = false
  const drain = drainWatch(node, presenter)
  const leave = [
    () => drain.end(),
    node.onNotice((notice) => {
      presenter.notice(notice)
      if (notice.code === 'shutdown') drain.begin() // also when somebody else asked for it
    }),
    node.onChange(() => presenter.changed()),
    signals.listen((count) => {
      aborted = count > 1
      if (aborted) drain.sayAborted()
      void node.shutdown(aborted ? 'abort' : 'drain')
      if (!aborted) drain.sayBegun()
    }),
  ]
  presenter.status(() => startingText(node.view()))
  const answer = await node.deploy(source)
  if (!answer.ok && answer.code !== 'stopping') {
    for (const problem of answer.problems) presenter.say(problem, 'red')
    await node.shutdown('abort')
    aborted = true
  }
  if (answer.ok) leave.push(announce(node, answer.name, presenter, signals))
  await node.stopped
  for (const stop of leave) stop()
  presenter.status(() => '')
  // a bug ended it; the node has said which when it happened
  if (node.failure() !== undefined) return FAILED
  presenter.say('stopped')
  return aborted ? FAILED : DONE
}

/**
 * Says `ready` when every service is, and why not when the deployment gives up: once each time it
 * goes from one to the other. Returns what ends it.
 */
function announce(
  node: NodeHandle,
  deployment: string,
  presenter: Presenter,
  signals: StopSignals,
): () => void {
  let said: SettledAnswer['outcome'] | undefined
  const sayChange = ({ outcome, problems }: SettledAnswer) => {
    const view = node.view()
    const isStopping = view.phase === 'draining' || view.phase === 'stopped' || signals.count > 0
    // removed meanwhile: there is nothing left to say about it
    const isThere = view.deployments.some(({ name }) => name === deployment)
    if (isStopping || !isThere || outcome === said) return
    if (said === undefined) presenter.status(() => '')
    said = outcome
    if (outcome === 'ready') sayReady(view, deployment, presenter)
    else sayFailed(problems, presenter)
  }
  const leave = node.onSettled((news) => {
    if (news.deployment === deployment) sayChange(news)
  })
  // it may have settled before we listened
  void node.settled(deployment).then(sayChange)
  return leave
}

function sayFailed(problems: readonly string[], presenter: Presenter): void {
  const shown = problems.length > 0 ? problems.slice(0, PROBLEMS_MAX) : ['see weir status']
  for (const problem of shown) presenter.say(`failed: ${problem}`, 'red')
  const more = problems.length - shown.length
  if (more > 0) presenter.say(`failed: and ${countText(more, 'more problem')}`, 'red')
  presenter.say('what can run goes on; mend the file and run weir deploy, or press Ctrl-C')
}

function sayReady(view: NodeView, deployment: string, presenter: Presenter): void {
  const name = serviceNames(view)
  for (const service of view.services) {
    if (service.deployment !== deployment) continue
    for (const endpoint of endpointsOf(service, reachable)) {
      presenter.say(`${name(service)}  ${endpoint}`)
    }
  }
  presenter.say('ready', 'green')
}

/** `starting, 1 of 2 services ready: web (waiting)`. */
function startingText(view: NodeView): string {
  const name = serviceNames(view)
  const behind = view.services.filter((service) => !isSettled(service))
  const ready = view.services.length - behind.length
  const names = behind.slice(0, NAMES_MAX).map((service) => `${name(service)} (${service.state})`)
  const more = behind.length > NAMES_MAX ? ' and more' : ''
  const waiting = names.length > 0 ? `: ${names.join(', ')}${more}` : ''
  return `starting, ${ready} of ${countText(view.services.length, 'service')} ready${waiting}`
}

function startFailure(error: NodeStartError) {
  switch (error._tag) {
    case 'AlreadyRunning':
      return failed(
        `a node already runs on this state (pid ${error.pid}, ${error.socket}): ` +
          'use weir deploy to change it, or --state DIR for a second one',
      )
    case 'StateUnusable':
      return failed(`cannot use the state directory ${error.path}: ${error.reason}`)
    case 'CertificatesUnusable':
      return failed(`cannot use the certificates of ${error.path}: ${error.reason}`)
  }
}

const NAMES_MAX = 4
const PROBLEMS_MAX = 20
const FLUSH_MS = 2_000
