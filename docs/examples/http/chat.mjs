// A chat room over WebSocket: what one says, all hear. Plain Node, no packages: the little of RFC 6455
// that short texts need.
import { createHash } from 'node:crypto'
import { createServer } from 'node:http'

const replica = process.env.WEIR_REPLICA ?? '?'
const people = new Set()

const server = createServer((_request, response) => {
  response.writeHead(426, { upgrade: 'websocket' }).end('this is for WebSockets\n')
})

server.on('upgrade', (request, socket, head) => {
  const key = request.headers['sec-websocket-key'] ?? ''
  socket.write(
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n' +
      `Sec-WebSocket-Accept: ${createHash('sha1')
        .update(key + MAGIC)
        .digest('base64')}\r\n\r\n`,
  )
  const name = request.headers['x-forwarded-for'] ?? 'somebody'
  people.add(socket)
  socket.on('error', () => {}) // the client broke off
  socket.on('end', () => socket.end()) // or left without a word: sockets of a server stay half open
  socket.on('close', () => people.delete(socket))
  socket.write(frame(TEXT, `hello ${name}, ${people.size} here at chat replica ${replica}`))
  let heard = head
  const take = () => {
    for (let found = frameOf(heard); found !== undefined; found = frameOf(heard)) {
      heard = found.rest
      if (found.opcode === TEXT)
        for (const each of people) each.write(frame(TEXT, `${name}: ${found.payload}`))
      if (found.opcode === PING) socket.write(frame(PONG, found.payload))
      if (found.opcode === CLOSE) socket.end(frame(CLOSE, found.payload.subarray(0, 2)))
    }
    if (heard.length > LENGTH_MAX) socket.destroy()
  }
  socket.on('data', (bytes) => {
    heard = Buffer.concat([heard, bytes])
    take()
  })
  take()
})

/** The first frame of what a client sent, without its mask; undefined while it is not all there. */
function frameOf(bytes) {
  const short = (bytes[1] ?? 0) & 0x7f
  const at = short === 126 ? 4 : short === 127 ? 10 : 2
  if (bytes.length < at + 4) return undefined
  const length =
    at === 4 ? bytes.readUInt16BE(2) : at === 10 ? Number(bytes.readBigUInt64BE(2)) : short
  const end = at + 4 + length
  if (bytes.length < end) return undefined
  const payload = bytes.subarray(at + 4, end).map((byte, index) => byte ^ bytes[at + (index % 4)])
  return { opcode: bytes[0] & 0x0f, payload, rest: bytes.subarray(end) }
}

/** What a server says has no mask; a text of more than 64 KiB is never said here. */
function frame(opcode, content) {
  const payload = Buffer.from(content)
  const { length } = payload
  const sizes = length < 126 ? [length] : [126, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([0x80 | opcode, ...sizes]), payload])
}

const MAGIC = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
const [TEXT, CLOSE, PING, PONG] = [1, 8, 9, 10]
const LENGTH_MAX = 32_768

// Nobody is in it by now who came through Weir: they had `drain_timeout`, were cut without a frame, which a
// browser calls 1006, and came back to the next replica. Others are told to (1001, going away).
process.once('SIGTERM', () => {
  for (const each of people) each.end(frame(CLOSE, Buffer.from([0x03, 0xe9])))
  server.close(() => process.exit(0))
})

server.listen(Number(process.env.PORT ?? 8080), '127.0.0.1', () => {
  console.log(`chat replica ${replica} listens on port ${server.address().port}`)
})
