// The service that the web servers ask for each greeting. Plain Node, no packages.
import { createServer } from 'node:http'

const greetings = ['Hello', 'Bonjour', 'Guten Tag', 'Hola', 'Ciao', 'Hej']
let answered = 0

const server = createServer((request, response) => {
  const text = request.url === '/healthz' ? 'ok' : greetings[answered++ % greetings.length]
  response.writeHead(200, { 'content-type': 'text/plain', connection: 'close' })
  response.end(text)
})

process.once('SIGTERM', () => {
  server.close(() => process.exit(0))
})

server.listen(Number(process.env.PORT ?? 8081), '127.0.0.1', () => {
  console.log(`the greeter listens on port ${server.address().port}`)
})
