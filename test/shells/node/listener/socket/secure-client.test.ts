import { expect, test } from 'vitest'
import { noCertificateFor } from '../../../../../shells/node/listener/socket/secure-client.ts'

test('a name that a client asks for is told as it is, when it is one', () => {
  expect(noCertificateFor('a.example.com')).toBe('no certificate for a.example.com')
})

test.each(['x\r\n\u001b[2Jerror: forged', 'a b', '', 'x'.repeat(254), 'münchen.example'])(
  '%j is not',
  (name) => expect(noCertificateFor(name)).toBe('no certificate for what is no host name'),
)
