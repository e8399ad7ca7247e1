/** The service of `grpc.ts`, a replica: at `PORT`, HTTP/2 without TLS. */
import {
  Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js'
import { DETAILS, TEXTS } from './grpc.ts'

type Done = sendUnaryData<string>

const failure = (details: string) => {
  const metadata = new Metadata()
  metadata.set('grpc-status-details-bin', DETAILS)
  return { code: status.FAILED_PRECONDITION, details, metadata }
}

const server = new Server()
server.addService(TEXTS, {
  Echo: (call: ServerUnaryCall<string, string>, done: Done) => {
    const head = new Metadata()
    head.set('before', 'first')
    call.sendMetadata(head)
    const trailer = new Metadata()
    trailer.set('after', 'last')
    done(null, `${call.metadata.get('asked')[0] ?? ''}${call.request}`, trailer)
  },
  Repeat: (call: ServerWritableStream<string, string>) => {
    const [count, ...words] = call.request.split(' ')
    for (let left = Number(count); left > 0; left -= 1) call.write(words.join(' '))
    call.end()
  },
  Count: (call: ServerReadableStream<string, string>, done: Done) => {
    let messages = 0
    let characters = 0
    call.on('data', (text: string) => {
      messages += 1
      characters += text.length
    })
    call.on('end', () => done(null, `${messages} ${characters}`))
  },
  Chat: (call: ServerDuplexStream<string, string>) => {
    call.on('data', (text: string) => call.write(text))
    call.on('end', () => call.end())
  },
  Refuse: (_call: ServerUnaryCall<string, string>, done: Done) => done(failure('not today: 50% %')),
  Break: (call: ServerWritableStream<string, string>) => {
    call.write('one')
    call.emit('error', failure('broken'))
  },
  Wait: (call: ServerUnaryCall<string, string>) => {
    call.on('cancelled', () => console.log(`cancelled ${call.request}`))
  },
})

server.bindAsync(`127.0.0.1:${process.env.PORT}`, ServerCredentials.createInsecure(), (error) => {
  if (error !== null) throw error
})
process.once('SIGTERM', () => server.tryShutdown(() => process.exit()))
