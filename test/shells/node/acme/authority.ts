/** A certificate authority for tests. */
import {
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  sign,
  verify,
} from 'node:crypto'
import { bits, integer, octets, oid, read, sequence, set, TRUE, time, tlv, utf8 } from './der.ts'

export interface Validity {
  readonly fromMs: number
  readonly toMs: number
}

export class Authority {
  readonly #name: string
  readonly #keys = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  /** PEM. */
  readonly certificate: string

  constructor(name = 'Test Authority') {
    this.#name = name
    const fromMs = Date.now() - 86_400_000
    const validity = { fromMs, toMs: fromMs + 20 * 365 * 86_400_000 }
    const isAuthority = extension('2.5.29.19', sequence(TRUE), true)
    this.certificate = this.#signed(name, this.#keys.publicKey, validity, [isAuthority])
  }

  /** PEM, for these names or addresses. */
  issue(publicKey: KeyObject, names: readonly string[], validity: Validity): string {
    const general = names.map((name) =>
      /^[\d.]+$/.test(name)
        ? tlv(0x87, Buffer.from(name.split('.').map(Number)))
        : tlv(0x82, Buffer.from(name)),
    )
    return this.#signed('', publicKey, validity, [extension('2.5.29.17', sequence(...general))])
  }

  /** Of a TLS server. */
  pairFor(...names: readonly string[]): { readonly key: string; readonly cert: string } {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
    const fromMs = Date.now() - 3_600_000
    return { key, cert: this.issue(publicKey, names, { fromMs, toMs: fromMs + 90 * 86_400_000 }) }
  }

  #signed(
    subject: string,
    publicKey: KeyObject,
    { fromMs, toMs }: Validity,
    extensions: readonly Buffer[],
  ): string {
    const toSign = sequence(
      tlv(0xa0, integer(Buffer.of(2))),
      integer(Buffer.concat([Buffer.of(1), randomBytes(15)])),
      sequence(oid(ECDSA_SHA256)),
      nameOf(this.#name),
      sequence(time(fromMs), time(toMs)),
      nameOf(subject),
      publicKey.export({ type: 'spki', format: 'der' }),
      tlv(0xa3, sequence(...extensions)),
    )
    const signature = sign('sha256', toSign, this.#keys.privateKey)
    return pem(sequence(toSign, sequence(oid(ECDSA_SHA256)), bits(signature)))
  }
}

/** What a request for a certificate (RFC 2986) asks for. Throws when it is not signed by its key. */
export function readRequest(der: Buffer): { publicKey: KeyObject; names: readonly string[] } {
  const [info, , signature] = read(read(der)[0]!.content)
  const [, , spki, attributes] = read(info!.content)
  const publicKey = createPublicKey({ key: spki!.whole, type: 'spki', format: 'der' })
  if (!verify('sha256', info!.whole, publicKey, signature!.content.subarray(1))) {
    throw new Error('a request that is not signed by its own key')
  }
  const names: string[] = []
  for (const attribute of read(attributes!.content)) {
    const [type, values] = read(attribute.content)
    if (!type!.whole.equals(oid('1.2.840.113549.1.9.14'))) continue
    for (const each of read(read(values!.content)[0]!.content)) {
      const parts = read(each.content)
      if (!parts[0]!.whole.equals(oid('2.5.29.17'))) continue
      for (const name of read(read(parts.at(-1)!.content)[0]!.content)) {
        names.push(`${name.tag === 0x82 ? '' : 'not dns: '}${name.content.toString('latin1')}`)
      }
    }
  }
  return { publicKey, names }
}

const extension = (type: string, value: Buffer, isCritical = false): Buffer =>
  sequence(oid(type), ...(isCritical ? [TRUE] : []), octets(value))

const nameOf = (name: string): Buffer =>
  name === '' ? sequence() : sequence(set(sequence(oid('2.5.4.3'), utf8(name))))

const pem = (der: Buffer): string =>
  `-----BEGIN CERTIFICATE-----\n${der.toString('base64').replaceAll(/.{1,64}/g, '$&\n')}-----END CERTIFICATE-----\n`

const ECDSA_SHA256 = '1.2.840.10045.4.3.2'
