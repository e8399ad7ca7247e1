import type { ExchangeRecord } from '../../../../core/http/commands.ts'
import type { ClientId } from '../../../../core/http/events.ts'

/** A request that went well, 2.5 ms in all. */
export const exchange = (over: Partial<ExchangeRecord> = {}): ExchangeRecord => ({
  client: 1 as ClientId,
  listener: 'shop/web/http#3',
  route: 'a.example.com/',
  backend: 'shop/web/2#7',
  protocol: '1.1',
  method: 'GET',
  host: 'a.example.com',
  target: '/a?b=c',
  clientAddress: '203.0.113.7',
  requestId: 'r-1',
  status: 200,
  outcome: 'done',
  bytesIn: 3,
  bytesOut: 2_326,
  retries: 1,
  timings: { headMs: 0, chosenMs: 0.25, sentMs: 0.5, firstByteMs: 2.0004, totalMs: 2.5 },
  userAgent: 'Mozilla/4.08',
  referer: 'http://a.example.com/start.html',
  ...over,
})
