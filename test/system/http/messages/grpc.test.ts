/** gRPC by `@grpc/grpc-js`: through an https endpoint, and without TLS. */
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { Client, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { fixture } from '../../../shells/node/tls/fixtures.ts'
import { freePorts, type RunningNode, until } from '../../running-node.ts'
import { deploymentOf, originService, startHttpNode } from '../peers/nodes.ts'
import { DETAILS, TEXTS } from '../peers/programs/grpc.ts'

const SERVER = fileURLToPath(new URL('../peers/programs/grpc-server.ts', import.meta.url))

let node: RunningNode
let [plain, tls]: readonly number[] = []

beforeAll(async () => {
  ;[plain, tls] = await freePorts(2)
  const command = JSON.stringify([process.execPath, '--no-warnings', SERVER])
  const http = 'http: { backend: h2c }'
  const file = deploymentOf(
    originService('safe', [`name: rpc, protocol: https, port: ${tls}, ${http}`], { command }),
    originService('open', [`name: rpc, protocol: http, port: ${plain}, ${http}`], { command }),
  )
  node = await startHttpNode({ 'weir.yaml': file })
})
afterAll(() => node?.stop())

const CLIENTS: Readonly<Record<string, () => Client>> = {
  TLS: () => new Client(`localhost:${tls}`, credentials.createSsl(Buffer.from(fixture('ca.crt')))),
  'no TLS': () => new Client(`127.0.0.1:${plain}`, credentials.createInsecure()),
}

describe.each(Object.entries(CLIENTS))('with %s', (way, make) => {
  const service = way === 'TLS' ? 'safe' : 'open'
  const connected = (): Client => {
    const client = make()
    onTestFinished(() => client.close())
    return client
  }

  test('one message for one, with metadata before and after', async () => {
    const metadata = new Metadata()
    metadata.set('asked', 'so:')
    const call = unary(connected(), 'Echo', 'words', metadata)
    expect(await call.answer).toBe('so:words')
    expect((await call.head).get('before')).toEqual(['first'])
    expect((await call.end).metadata.get('after')).toEqual(['last'])
  })

  test('a megabyte in a message', async () => {
    const text = 'weir'.repeat(2 ** 18)
    expect(await unary(connected(), 'Echo', text).answer).toBe(text)
  })

  test('messages to the client, from the client, and both ways at one time', async () => {
    const client = connected()
    const { requestSerialize, responseDeserialize } = TEXTS.Echo
    const args = [requestSerialize, responseDeserialize] as const
    const repeated = client.makeServerStreamRequest(TEXTS.Repeat.path, ...args, '500 again')
    const got: string[] = []
    for await (const text of repeated) got.push(text)
    expect(got).toEqual(Array.from({ length: 500 }, () => 'again'))

    const counted = await new Promise((resolve, reject) => {
      const call = client.makeClientStreamRequest<string, string>(
        TEXTS.Count.path,
        ...args,
        (error, text) => (error === null ? resolve(text) : reject(error)),
      )
      for (let count = 0; count < 500; count += 1) call.write('seven..')
      call.end()
    })
    expect(counted).toBe('500 3500')

    const chat = client.makeBidiStreamRequest<string, string>(TEXTS.Chat.path, ...args)
    for (const text of ['each', 'is', 'answered', 'before', 'the', 'next']) {
      chat.write(text)
      expect(await once(chat, 'data')).toEqual([text])
    }
    chat.end()
    const [{ code }] = await once(chat.resume(), 'status')
    expect(code).toBe(status.OK)
  })

  test('errors have their code, words and details, with and without messages before them', async () => {
    const client = connected()
    const refused = await unary(client, 'Refuse', 'please').answer.catch(
      (error: ServiceError) => error,
    )
    expect(refused).toMatchObject({ code: status.FAILED_PRECONDITION, details: 'not today: 50% %' })
    expect((refused as ServiceError).metadata.get('grpc-status-details-bin')).toEqual([DETAILS])
    const { requestSerialize, responseDeserialize, path } = TEXTS.Break
    const broken = client.makeServerStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      'please',
    )
    const got: string[] = []
    broken.on('data', (text) => got.push(text))
    const [error] = await once(broken, 'error').catch((thrown) => [thrown])
    expect(error).toMatchObject({ code: status.FAILED_PRECONDITION, details: 'broken' })
    expect(got).toEqual(['one'])
    expect(await unary(client, 'Echo', 'on').answer).toBe('on')
    const unknown = unary(client, 'Echo', 'words', undefined, { path: '/weir.Texts/None' }).answer
    await expect(unknown).rejects.toMatchObject({ code: status.UNIMPLEMENTED })
  })

  test('a deadline ends the call at both ends', async () => {
    const options = { deadline: Date.now() + 500 }
    const waits = unary(connected(), 'Wait', `for ${way}`, undefined, options)
    await expect(waits.answer).rejects.toMatchObject({ code: status.DEADLINE_EXCEEDED })
    await until(async () => (await node.weir('logs', service)).out.includes(`cancelled for ${way}`))
  })

  test('100 calls at one time', async () => {
    const client = connected()
    const words = Array.from({ length: 100 }, (_, number) => `call ${number}`)
    expect(await Promise.all(words.map((text) => unary(client, 'Echo', text).answer))).toEqual(
      words,
    )
  })
})

function unary(
  client: Client,
  name: keyof typeof TEXTS,
  text: string,
  metadata = new Metadata(),
  { path = TEXTS[name].path, deadline = Number.POSITIVE_INFINITY } = {},
) {
  const { requestSerialize, responseDeserialize } = TEXTS[name]
  let call: ReturnType<Client['makeUnaryRequest']> | undefined
  const answer = new Promise<string>((resolve, reject) => {
    const args = [
      path,
      requestSerialize,
      responseDeserialize,
      text,
      metadata,
      { deadline },
    ] as const
    call = client.makeUnaryRequest<string, string>(...args, (error, value) => {
      if (error === null) resolve(value as string)
      else reject(error)
    })
  })
  const heard = <Value>(event: string): Promise<Value> =>
    new Promise((resolve) => void call?.on(event as 'status', (value) => resolve(value as Value)))
  return {
    answer,
    head: heard<Metadata>('metadata'),
    end: heard<{ readonly metadata: Metadata }>('status'),
  }
}
