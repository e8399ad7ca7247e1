/** The worker as it is, but that it fails when it is told to cut a backend of a certain name. */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { runLoop } from '../../../../shells/node/udp/batch/loop.ts'
import type { ToWorker, WorkerData } from '../../../../shells/node/udp/batch/messages.ts'
import { keepingBook } from '../../../../shells/node/udp/batch/system/descriptor-book.ts'
import { loadLibc } from '../../../../shells/node/udp/batch/system/libc.ts'

const loaded = await loadLibc()
if (loaded.type === 'unavailable') throw new Error(loaded.reason)

runLoop({
  libc: keepingBook(loaded.libc, (workerData as WorkerData).book),
  post: (message) => parentPort!.postMessage(message),
  take: () => {
    const message = receiveMessageOnPort(parentPort!)?.message as ToWorker | undefined
    if (message?.type !== 'event' || message.event.type !== 'cut-backend') return message
    switch (message.event.backend) {
      case 'throw':
        throw new Error('thrown in the worker')
      case 'exit':
        return process.exit(7)
      case 'break': // the machine of this listener throws
        return {
          ...message,
          event: { type: 'apply-backends', version: 1_000, backends: null as never },
        }
      default:
        return message
    }
  },
})
