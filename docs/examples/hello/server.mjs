// A web server of which Weir runs three replicas. Plain Node, no packages.
import { createServer } from 'node:http'

const replica = process.env.WEIR_REPLICA ?? '?'
const greeterUrl = process.env.GREETER_URL ?? 'http://127.0.0.1:8081'

const server = createServer(async (request, response) => {
  if (request.url === '/healthz') return answer(response, 200, 'ok')
  try {
    const greeting = await fetch(greeterUrl, { signal: AbortSignal.timeout(2_000) })
    answer(response, 200, `${await greeting.text()} from web replica ${replica}`)
  } catch {
    answer(response, 503, `web replica ${replica} cannot reach the greeter`)
  }
})

function answer(response, status, text) {
  // One connection for each request: Weir shares out connections here, and a connection that a
  // client keeps open for later would hold up the drain of its replica.
  response.writeHead(status, { 'content-type': 'text/plain', connection: 'close' })
  response.end(`${text}\n`)
}

// Weir has stopped sending us connections before it asks us to end; finish what came before.
process.once('SIGTERM', () => {
  console.log('finishing the last requests')
  server.close(() => process.exit(0))
})

server.listen(Number(process.env.PORT ?? 8080), '127.0.0.1', () => {
  console.log(`web replica ${replica} listens on port ${server.address().port}`)
})
