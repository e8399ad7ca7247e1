/** Judges a certificate and its key: what they are good for, or why they are good for nothing. */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import tls from 'node:tls'
import { messageOf } from '../journal/format.ts'

export interface PairFiles {
  readonly certificate: PairFile
  readonly key: PairFile
}

export interface PairFile {
  /** Without its directory. */
  readonly name: string
  readonly text: string
}

export interface Pair {
  readonly context: tls.SecureContext
  readonly leaf: X509Certificate
}

export type Judged =
  | { readonly ok: true; readonly pair: Pair }
  | { readonly ok: false; readonly problem: string }

/** `ticketKeys`: 48 bytes that session tickets are made with. */
export function judgePair({ certificate, key }: PairFiles, ticketKeys: Buffer): Judged {
  const chain = chainOf(certificate)
  if (!chain.ok) return chain
  const secret = keyOf(key)
  if (!secret.ok) return secret
  const owner = chain.certificates.findIndex((each) => each.checkPrivateKey(secret.key))
  if (owner === -1) return refused(`${key.name} is not the key of ${certificate.name}`)
  const leaf = chain.certificates[owner]!
  if (owner > 0) {
    return refused(
      `the certificate that ${key.name} belongs to has to be the first in ${certificate.name}, ` +
        `and is number ${owner + 1}`,
    )
  }
  try {
    // OpenSSL takes any key beside a certificate of another kind: whether they match was our work.
    const context = tls.createSecureContext({
      cert: certificate.text,
      key: key.text,
      minVersion: TLS_VERSION_MIN,
      ticketKeys,
    })
    return { ok: true, pair: { context, leaf } }
  } catch (error) {
    return refused(`${certificate.name} cannot be used: ${messageOf(error)}`)
  }
}

type Refused = Extract<Judged, { ok: false }>

function chainOf({
  name,
  text,
}: PairFile): { readonly ok: true; readonly certificates: readonly X509Certificate[] } | Refused {
  const blocks = text.match(CERTIFICATE) ?? []
  if (blocks.length === 0) return refused(`${name} holds no certificate in PEM form`)
  const certificates: X509Certificate[] = []
  for (const block of blocks) {
    try {
      certificates.push(new X509Certificate(block))
    } catch (error) {
      const which = blocks.length === 1 ? '' : ` number ${certificates.length + 1}`
      return refused(`${name} holds a certificate${which} that cannot be read: ${messageOf(error)}`)
    }
  }
  return { ok: true, certificates }
}

function keyOf({ name, text }: PairFile): { readonly ok: true; readonly key: KeyObject } | Refused {
  if (!KEY.test(text)) return refused(`${name} holds no private key in PEM form`)
  if (ENCRYPTED.test(text))
    return refused(`${name} needs a passphrase; a key without one is needed`)
  try {
    return { ok: true, key: createPrivateKey(text) }
  } catch (error) {
    return refused(`${name} holds a private key that cannot be read: ${messageOf(error)}`)
  }
}

const refused = (problem: string): Refused => ({ ok: false, problem })

/** Blocks of RFC 7468; what stands between them is for people. */
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]*?(?:-----END CERTIFICATE-----|$)/g
const KEY = /-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----/
/** PKCS#8, and the older way of PKCS#1 and SEC1. */
const ENCRYPTED = /-----BEGIN ENCRYPTED PRIVATE KEY-----|^Proc-Type: 4,ENCRYPTED/m
/** RFC 8996: the versions before are not to be used. */
export const TLS_VERSION_MIN = 'TLSv1.2'
