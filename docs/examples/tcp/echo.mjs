// Repeats what clients say over TCP; Weir runs two replicas of it. Plain Node, no packages.
import { createServer } from 'node:net'

const replica = process.env.WEIR_REPLICA ?? '?'

// half-open: a client that has said all it has to say still hears the rest
const server = createServer({ allowHalfOpen: true }, async (socket) => {
  socket.on('error', () => {}) // the client broke off
  const client = await announced(socket)
  if (client === undefined) return socket.end() // Weir's own check only connects
  socket.write(`hello ${client}, this is echo replica ${replica}\n`)
  socket.pipe(socket)
})

/**
 * Who the client is, from the header that `proxy_protocol` puts in front of each connection: PROXY
 * protocol v2, https://www.haproxy.org/download/1.8/doc/proxy-protocol.txt
 */
async function announced(socket) {
  const fixed = await bytes(socket, 16)
  const rest = fixed && (await bytes(socket, fixed.readUInt16BE(14)))
  if (rest === undefined) return undefined
  const family = fixed[13] >> 4
  if (family === 1) return `${[...rest.subarray(0, 4)].join('.')}:${rest.readUInt16BE(8)}`
  if (family !== 2) return 'whoever you are'
  const groups = [0, 2, 4, 6, 8, 10, 12, 14].map((at) => rest.readUInt16BE(at).toString(16))
  return `[${groups.join(':')}]:${rest.readUInt16BE(32)}`
}

/** Exactly so many; undefined when the connection ends before. */
function bytes(socket, count) {
  if (count === 0) return Buffer.alloc(0)
  return new Promise((resolve) => {
    const look = () => {
      const read = socket.read(count)
      if (read === null && !socket.readableEnded && !socket.destroyed) return
      for (const event of ['readable', 'end', 'close']) socket.off(event, look)
      resolve(read?.length === count ? read : undefined)
    }
    for (const event of ['readable', 'end', 'close']) socket.on(event, look)
    look()
  })
}

// Weir sends us no new connections any more; those that are left may finish.
process.once('SIGTERM', () => server.close(() => process.exit(0)))

server.listen(Number(process.env.PORT ?? 7007), '127.0.0.1', () => {
  console.log(`echo replica ${replica} listens on port ${server.address().port}`)
})
