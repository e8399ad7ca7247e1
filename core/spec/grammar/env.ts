/**
 * Values of `env`: plain text, or a reference that is the whole value. `$E:NAME` is a variable of
 * the host; `$S:...` is a secret.
 */

export interface SecretReference {
  readonly name: string
  /** A key of the secret's JSON. */
  readonly field?: string
  /** Kept for another service, or for an environment of this project or of another. */
  readonly scope?:
    | { readonly type: 'service'; readonly service: string }
    | { readonly type: 'environment'; readonly project?: string; readonly environment: string }
}

export type EnvValue =
  | { readonly type: 'text' }
  | { readonly type: 'host'; readonly variable: string }
  | { readonly type: 'secret'; readonly secret: SecretReference }
  | { readonly type: 'fault'; readonly reason: string }

export function parseEnvValue(value: string): EnvValue {
  if (value.startsWith('$E:')) {
    const variable = value.slice(3)
    if (VARIABLE.test(variable)) return { type: 'host', variable }
    return fault(`is no reference to a host variable; write $E:NAME and nothing else`)
  }
  if (value.startsWith('$S:')) {
    const secret = parseSecret(value.slice(3))
    return secret === undefined ? fault(SECRET_HINT) : { type: 'secret', secret }
  }
  const inner = /\$[ES]:/.exec(value)
  if (inner === null) return { type: 'text' }
  // The reference leaves it as it stands, and the program gets the letters "$E:" (services W73).
  return fault(
    `has text before ${inner[0]}; a reference must be the whole value, so put the whole text into the variable`,
  )
}

function parseSecret(text: string): SecretReference | undefined {
  const match = SECRET.exec(text)
  if (match === null) return undefined
  const { service, project, environment, name, field } = match.groups as Record<
    string,
    string | undefined
  >
  return {
    name: name!,
    ...(field === undefined ? {} : { field }),
    ...(service !== undefined
      ? { scope: { type: 'service', service } as const }
      : environment !== undefined
        ? { scope: { type: 'environment', ...(project ? { project } : {}), environment } as const }
        : {}),
  }
}

const fault = (reason: string): EnvValue => ({ type: 'fault', reason })

const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/
const NAME = '[A-Za-z][A-Za-z0-9_-]{0,254}'
const SECRET = new RegExp(
  `^(?:@(?<service>[A-Za-z0-9][A-Za-z0-9-]{0,62})/|(?<project>${NAME})?:(?<environment>${NAME})/)?(?<name>${NAME})(?:/(?<field>[^/]{1,255}))?$`,
)
const SECRET_HINT =
  'is no reference to a secret; the forms are $S:name, $S:@service/name, $S::env/name and $S:project:env/name, each with an optional /field'
