/** How the node gets certificates by itself: the acme block of the node file (RFC 8555). */
import { parseIp } from '../../net/address.ts'
import { forms, list } from '../schema/collections.ts'
import { byDefault, object, optional, required } from '../schema/objects.ts'
import { describedAs, duration, oneOf, text } from '../schema/scalars.ts'
import { given, mapped, type Shape } from '../schema/shape.ts'
import { quote, show, subject } from '../schema/words.ts'
import type { AcmeSettings } from './settings.ts'

/** Let's Encrypt. */
const PUBLIC_DIRECTORIES = {
  letsencrypt: 'https://acme-v02.api.letsencrypt.org/directory',
  staging: 'https://acme-staging-v02.api.letsencrypt.org/directory',
} as const

const URL_PATTERN = /^https:\/\/[^\s/?#@]+(\/[^\s#]*)?$/
const NAME =
  /^(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/
const NAME_MAX = 253
const DAY_MS = 24 * 60 * 60 * 1000

const directory: Shape<string> = describedAs(
  mapped(text('letsencrypt, staging or the URL of a directory'), (written, path, reading) => {
    if (written === 'letsencrypt' || written === 'staging') return PUBLIC_DIRECTORIES[written]
    if (URL_PATTERN.test(written)) return written
    const hint = written.startsWith('http://') ? '; ACME is spoken over https (RFC 8555, 6.1)' : ''
    const message = `must be letsencrypt, staging or an https URL, not ${quote(written)}${hint}`
    reading.report(path, `${subject(path)} ${message}`, 'value')
    return undefined
  }),
  {
    anyOf: [
      { enum: Object.keys(PUBLIC_DIRECTORIES) },
      { type: 'string', pattern: URL_PATTERN.source },
    ],
  },
)

const hostName = text('a name such as example.com', {
  pattern: NAME,
  charactersMax: NAME_MAX,
  fault: (written) => {
    if (written.startsWith('*.')) {
      return `must not be a wildcard, ${quote(written)}: those are proved over DNS, and here names are proved over http; put a certificate for it into certificates`
    }
    if (parseIp(written) === undefined) return undefined
    return `must be a name, not the address ${written}`
  },
})

const names: Shape<readonly string[]> = mapped(
  list(hostName, 'a list of names', 1),
  (written, path, reading) => {
    const seen = new Set<string>()
    // broken ones are left out, so that nothing tells which of the list is meant
    for (const name of written.map((each) => each.toLowerCase())) {
      const message = `${name} is given twice; remove one of the two`
      if (seen.has(name)) reading.report(path, message, 'value')
      seen.add(name)
    }
    return [...seen]
  },
)

const agreed: Shape<true> = {
  what: 'true',
  read(value, path, reading) {
    if (value === true) return true
    const why = 'the server gives certificates to those only who agree to its terms of service'
    reading.report(path, `${subject(path)} must be true, not ${show(value)}: ${why}`, 'value')
    return undefined
  },
  describe: () => ({ const: true }),
}

export const acme: Shape<AcmeSettings> = mapped(
  object('acme', 'an acme block', {
    directory: byDefault(
      directory,
      'letsencrypt',
      "Where certificates come from: letsencrypt, staging (Let's Encrypt's for trials, which browsers do not trust), or the URL of another server's directory.",
    ),
    email: required(
      text('an address such as admin@example.com', { pattern: /^[^\s@]+@[^\s@]+\.[^\s@]+$/ }),
      'Whom the server writes to.',
    ),
    terms_agreed: required(agreed, "That you agree to the server's terms of service."),
    hosts: byDefault(
      forms<'auto' | readonly string[]>('auto or a list of names', {
        text: oneOf(['auto']),
        list: names,
      }),
      'auto',
      'Names to get certificates for; auto is the host of every public https endpoint, but for wildcards.',
    ),
    renew_before: byDefault(
      duration(60 * 60 * 1000, 60 * DAY_MS),
      '30d',
      'How long before its end a certificate is renewed; at most 60d.',
    ),
    ca: optional(
      text('the path of a file'),
      "A PEM file of certificates that the server's own must be signed by, for a server of your own; relative to the node file.",
    ),
  }),
  (read): AcmeSettings => ({
    directory: read.directory,
    email: read.email,
    hosts: read.hosts,
    renewBeforeMs: read.renew_before,
    ...given({ ca: read.ca }),
  }),
)
