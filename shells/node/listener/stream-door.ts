/** A TCP listener: one stream shell. */
import type { OpenListener } from '../../../core/node/commands.ts'
import type { StreamSpec } from '../../../core/spec/deployment.ts'
import { defaultStreamConfig, type StreamConfig } from '../../../core/stream/state.ts'
import type { Door } from './door.ts'
import { StreamShell, type StreamShellOptions } from './stream-shell.ts'

export function streamDoor(
  options: Omit<StreamShellOptions, 'balance'> & Pick<OpenListener, 'balance'>,
): Door {
  const shell = new StreamShell(options)
  return {
    listen: (host, port) => shell.listen(host, port),
    configure: (settings) => {
      if (settings.protocol !== 'tcp') return // a listener stays what it was opened as
      shell.step({ type: 'configure', config: configOf(settings.stream) })
    },
    applyBackends: (version, backends) => {
      shell.step({ type: 'apply-backends', version, backends })
    },
    cutBackend: (backend) => shell.step({ type: 'cut-backend', backend }),
    close: () => {
      shell.step({ type: 'close' })
      return afterClosing()
    },
    abort: () => shell.step({ type: 'abort-all' }),
    dispose: () => shell.dispose(),
    get isEmpty() {
      return shell.machine.isEmpty
    },
  }
}

const configOf = (stream: StreamSpec): StreamConfig => ({
  ...defaultStreamConfig,
  connectTimeoutMs: stream.connectTimeoutMs,
  idleTimeoutMs: stream.idleTimeoutMs,
  connectionsMax: stream.connectionsMax,
})

/** libuv closes descriptors within the call and completes handles at the end of the round. */
export const afterClosing = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
