/** Durations and sizes as the deployment file writes them. */

/**
 * Milliseconds in `500ms`, `30s`, `1m`, `1h 30m`, `2h30m`, `1d`; the largest unit first, each at
 * most once. Undefined for anything else: a bare number says no unit.
 */
export function parseDuration(text: string): number | undefined {
  const match = DURATION_PATTERN.exec(text)
  if (match === null) return undefined
  let ms = 0
  for (const [index, unit] of DURATION_UNITS.entries())
    ms += Number(match[index + 1] ?? 0) * unit.ms
  return Number.isSafeInteger(ms) ? ms : undefined
}

/** The shortest text that parses back to the same number: `1h 30m`. */
export function formatDuration(ms: number): string {
  const parts: string[] = []
  let left = ms
  for (const unit of DURATION_UNITS) {
    const count = Math.floor(left / unit.ms)
    if (count > 0) parts.push(`${count}${unit.name}`)
    left -= count * unit.ms
  }
  return parts.length === 0 ? '0s' : parts.join(' ')
}

/** Bytes in a whole number above 0 with `Ki`, `Mi`, `Gi` or `Ti`; undefined for anything else. */
export function parseSize(text: string): number | undefined {
  const match = SIZE_PATTERN.exec(text)
  if (match === null) return undefined
  const bytes = Number(match[1]) * 1024 ** (SIZE_UNITS.indexOf(match[2]!) + 1)
  return Number.isSafeInteger(bytes) ? bytes : undefined
}

/** The largest unit that loses nothing; undefined when the bytes are not whole `Ki`. */
export function formatSize(bytes: number): string | undefined {
  for (const [index, unit] of [...SIZE_UNITS.entries()].reverse()) {
    const count = bytes / 1024 ** (index + 1)
    if (count >= 1 && Number.isInteger(count)) return `${count}${unit}`
  }
  return undefined
}

const DURATION_UNITS = [
  { name: 'd', ms: 86_400_000 },
  { name: 'h', ms: 3_600_000 },
  { name: 'm', ms: 60_000 },
  { name: 's', ms: 1_000 },
  { name: 'ms', ms: 1 },
] as const
const SIZE_UNITS = ['Ki', 'Mi', 'Gi', 'Ti']

/** One space may stand between the parts. `(?=\d)`: at least one part. */
export const DURATION_PATTERN = new RegExp(
  `^(?=\\d)${DURATION_UNITS.map(({ name }) => `(?:(\\d{1,15})${name})?`).join(' ?')}$`,
)
export const SIZE_PATTERN = /^(0*[1-9]\d{0,15})(Ki|Mi|Gi|Ti)$/
