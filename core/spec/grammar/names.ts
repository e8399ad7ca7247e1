/** Names an operator chooses: each says what is wrong with it in one sentence. */
import { quote } from '../schema/words.ts'

/** Services and externals are DNS labels, because names are published in DNS (services W73). */
export const SERVICE_NAME = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/
export const DEPLOYMENT_NAME = /^[A-Za-z0-9][A-Za-z0-9-]{2,62}$/
export const ROLE_NAME = /^[a-z]([a-z0-9-]{0,28}[a-z0-9])?$/
/** `/` and `#` separate the parts of identities. */
export const ENDPOINT_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/
export const VARIABLE_NAME = /^[^=\0]{1,255}$/

export function serviceNameFault(name: string): string | undefined {
  if (SERVICE_NAME.test(name)) return undefined
  const rule = 'use 1-63 lower-case letters, digits and inner hyphens'
  if (name === '') return `cannot be a name: it is empty; ${rule}`
  if (name.length > 63) return `is too long for a name (${name.length} characters); ${rule}`
  const lowered = name
    .toLowerCase()
    .replace(/[^a-z0-9-]+/g, '-')
    .replace(/^-+|-+$/g, '')
  const offer = SERVICE_NAME.test(lowered) ? `, for instance ${lowered}` : ''
  return `cannot be a name, it is not a DNS label; ${rule}${offer}`
}

export function deploymentNameFault(name: string): string | undefined {
  if (DEPLOYMENT_NAME.test(name)) return undefined
  return `must be 3-63 letters, digits and hyphens, beginning with a letter or digit, not ${quote(name)}`
}

export function variableNameFault(name: string): string | undefined {
  if (VARIABLE_NAME.test(name)) return undefined
  return 'cannot be the name of a variable: it must not be empty nor hold = or NUL'
}
