// A UDP service that tells the time, of which Weir runs two replicas. Plain Node, no packages.
import { createSocket } from 'node:dgram'

const replica = process.env.WEIR_REPLICA ?? '?'
const socket = createSocket('udp4')

socket.on('message', (message, { port, address }) => {
  const text = message.toString().trim()
  // Weir asks like this whether we are well.
  const answer =
    text === 'ping' ? 'pong' : `${new Date().toISOString()} from clock replica ${replica}`
  socket.send(`${answer}\n`, port, address)
})

// Weir sends us no new clients any more; every datagram that came before has its answer.
process.once('SIGTERM', () => socket.close())

socket.bind(Number(process.env.PORT ?? 8037), '127.0.0.1', () => {
  console.log(`clock replica ${replica} listens on UDP port ${socket.address().port}`)
})
