import { mutantsOf } from '../mutant.ts'

/** Which listener a request is for, and the path it asks for there. */
export const routes = [
  ...mutantsOf('core/http/routes/table.ts', [
    [
      'a wildcard comes before the exact host',
      'this.#exact.get(host)?.find(plain) ?? this.#below(host)?.find(plain)',
      'this.#below(host)?.find(plain) ?? this.#exact.get(host)?.find(plain)',
    ],
    [
      'a route for all comes before a host',
      "if (host !== '') {",
      "if (host !== '' && this.#any.find(plain) === undefined) {",
    ],
    [
      'a host keeps paths it has no prefix of',
      'if (found !== undefined) return found\n    }\n    return this.#any',
      'return found\n    }\n    return this.#any',
    ],
    [
      'a wildcard is for two labels',
      "host.indexOf('.')",
      "host.lastIndexOf('.', host.lastIndexOf('.') - 1)",
    ],
    ['a wildcard is for no label', 'return dot <= 0 ?', 'return dot < 0 ?'],
    ['the last of two routes counts', '} else if (!this.#byPath.has(prefix)) {', '} else {'],
    ['the last of two routes for all paths counts', 'this.#root ??= route', 'this.#root = route'],
    ['the shortest prefix counts', 'sort((a, b) => b - a)', 'sort((a, b) => a - b)'],
    ['a prefix ends within a segment', ' || (at < length && path.charCodeAt(at) !== SLASH)', ''],
    ['hosts have cases', 'const lower = host.toLowerCase()', 'const lower = host'],
    [
      'a dot at the end makes another host',
      "lower.endsWith('.') ? lower.slice(0, -1) : lower",
      'lower',
    ],
    [
      'a port belongs to the host',
      'colon < 0 ? authority : authority.slice(0, colon)',
      'authority',
    ],
    [
      'an IPv6 address ends at its first colon',
      "authority.charCodeAt(0) === BRACKET ? authority.indexOf(']') : 0",
      '0',
    ],
    ['a path is compared as it came', 'isPlainPath(path) ? path : canonicalPath(path)', 'path'],
    ['a prefix is compared as it was written', '(canonicalPath(path) ?? path)', 'path'],
  ]),
  ...mutantsOf('core/http/routes/path.ts', [
    ['dot segments are led somewhere', '  if (REFUSED.test(segments)) return undefined\n', ''],
    ['two slashes are two', "replace(SLASHES, '/')", "replace(/\\\\+/g, '/')"],
    ['a backslash is no slash', 'const SLASHES = /[/\\\\]+/g', 'const SLASHES = /[/]+/g'],
    ['parameters hide a segment', ".replace(PARAMETER, '')", ''],
    ['escapes hide a path', 'const segments = decoded(path)', 'const segments = path'],
    ['escapes are resolved twice', 'code === SPACE || code === PERCENT', 'code === SPACE'],
    [
      'a slash at the end makes another path',
      "segments.length > 1 && segments.endsWith('/') ? segments.slice(0, -1) : segments",
      'segments',
    ],
    ['what is left of a path is a host to some', ".replace(LEADING_SLASHES, '')", '.slice(1)'],
    [
      'a prefix is cut within a segment',
      'if (path.charCodeAt(length) === SLASH) return path',
      'if (path.charCodeAt(length) !== -1) return path',
    ],
  ]),
]
