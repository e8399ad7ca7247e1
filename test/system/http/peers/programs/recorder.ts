/**
 * A program that writes down what it was asked, a replica: a line for each request in the file `SEEN`,
 * `METHOD TARGET BODY`, the body in Latin-1 as JSON, once it has ended.
 */
import { appendFileSync } from 'node:fs'
import { createServer } from 'node:http'

const { SEEN = '', PORT } = process.env

createServer({ insecureHTTPParser: true }, (request, response) => {
  const { method, url } = request
  let body = ''
  request.setEncoding('latin1')
  request.on('data', (text: string) => {
    body += text
  })
  request.on('end', () => {
    appendFileSync(SEEN, `${method} ${url} ${JSON.stringify(body)}\n`)
    response.end(`saw ${url}`)
  })
  request.on('error', () => {}) // its body is cut
}).listen(Number(PORT), '127.0.0.1')
process.once('SIGTERM', () => process.exit())
