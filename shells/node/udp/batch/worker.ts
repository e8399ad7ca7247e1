/** Where the worker of the batched shell begins. */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads'
import { runLoop } from './loop.ts'
import type { ToWorker, WorkerData } from './messages.ts'
import { keepingBook } from './system/descriptor-book.ts'
import { loadLibc } from './system/libc.ts'

const { book } = workerData as WorkerData
const loaded = await loadLibc()
if (loaded.type === 'unavailable') throw new Error(loaded.reason)
const port = parentPort
if (port === null) throw new Error('this file is started as a worker')
runLoop({
  libc: keepingBook(loaded.libc, book),
  post: (message) => port.postMessage(message),
  take: () => receiveMessageOnPort(port)?.message as ToWorker | undefined,
})
