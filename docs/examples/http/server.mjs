// One program, three services of the shop: it says who answers, and what it was told of the client.
// Plain Node, no packages.
import { createServer } from 'node:http'

const { WEIR_SERVICE: service = 'server', WEIR_REPLICA: replica = '?' } = process.env

const server = createServer((request, response) => {
  if (request.url === '/healthz') return response.end('ok\n')
  if (request.url === '/' && request.headers.accept?.includes('text/html')) {
    response.setHeader('content-type', 'text/html; charset=utf-8')
    return response.end(PAGE)
  }
  const { 'x-forwarded-for': client, 'x-forwarded-proto': scheme, host } = request.headers
  response.setHeader('content-type', 'text/plain')
  response.end(
    `${service} replica ${replica}: ${request.url} for ${client}, who asked ${scheme}://${host}\n`,
  )
})

const PAGE = `<!doctype html>
<title>shop</title>
<h1>${service}, replica ${replica}</h1>
<form><input placeholder="say something" autofocus> <button>Say</button></form>
<ul></ul>
<script>
  const [form, list] = [document.forms[0], document.querySelector('ul')]
  const show = (text) => list.append(Object.assign(document.createElement('li'), { textContent: text }))
  let socket
  function join() {
    socket = new WebSocket(location.origin.replace(/^http/, 'ws') + '/chat')
    socket.onmessage = ({ data }) => show(data)
    // the replica was replaced, or the connection broke: come back
    socket.onclose = ({ code }) => {
      show('(cut: ' + code + ')')
      setTimeout(join, 1000)
    }
  }
  join()
  form.onsubmit = (event) => {
    event.preventDefault()
    socket.send(form[0].value)
    form.reset()
  }
</script>
`

// Weir sends no new requests by then; those that are under way are finished.
process.once('SIGTERM', () => server.close(() => process.exit(0)))

server.listen(Number(process.env.PORT ?? 8080), '127.0.0.1', () => {
  console.log(`${service} replica ${replica} listens on port ${server.address().port}`)
})
