/**
 * Cron expressions of six or seven fields, `second minute hour day month weekday [year]`, in UTC.
 * Weekdays count from 1, Sunday, to 7; day of month and weekday must both match.
 */

/** The values each field allows, ascending. */
export interface CronSchedule {
  readonly seconds: readonly number[]
  readonly minutes: readonly number[]
  readonly hours: readonly number[]
  readonly daysOfMonth: readonly number[]
  readonly months: readonly number[]
  /** 1 is Sunday. */
  readonly daysOfWeek: readonly number[]
  readonly years: readonly number[]
}

export type ParsedCron =
  | { readonly ok: true; readonly schedule: CronSchedule }
  | { readonly ok: false; readonly reason: string }

export function parseCron(text: string): ParsedCron {
  const written = text.trim()
  if (written === '') return fail(`is empty; write "0 30 2 * * *" for half past two every night`)
  if (written.startsWith('@')) {
    const macro = Object.hasOwn(MACROS, written) ? MACROS[written] : undefined
    if (macro !== undefined) return parseCron(macro)
    return fail(`knows no ${written}; the short forms are ${Object.keys(MACROS).join(', ')}`)
  }
  if (written.length > CHARACTERS_MAX) return fail(`is longer than ${CHARACTERS_MAX} characters`)
  const parts = written.split(/\s+/)
  if (parts.length === 5) return fail(fiveFields(parts))
  if (parts.length < 6 || parts.length > 7) {
    return fail(
      `has ${parts.length} field${parts.length === 1 ? '' : 's'}; it needs six or seven: second minute hour day month weekday [year]`,
    )
  }
  const read: number[][] = []
  for (const [index, field] of FIELDS.entries()) {
    const values = parseField(parts[index] ?? '*', field)
    if (typeof values === 'string') return fail(values)
    read.push(values)
  }
  const [seconds, minutes, hours, daysOfMonth, months, daysOfWeek, years] = read as Seven
  return {
    ok: true,
    schedule: { seconds, minutes, hours, daysOfMonth, months, daysOfWeek, years },
  }
}

type Seven = [number[], number[], number[], number[], number[], number[], number[]]

interface FieldRule {
  readonly name: string
  readonly min: number
  readonly max: number
  readonly names?: readonly string[]
  /** Whether `?` may stand for `*`. */
  readonly question?: boolean
}

/** The values, ascending, or what is wrong. */
function parseField(text: string, field: FieldRule): number[] | string {
  const allowed = new Set<number>()
  for (const item of text.split(',')) {
    const range = parseItem(item, field)
    if (typeof range === 'string') return `${range} in the ${field.name} field`
    for (let value = range.from; value <= range.to; value += range.step) allowed.add(value)
  }
  return [...allowed].sort((a, b) => a - b)
}

function parseItem(
  item: string,
  field: FieldRule,
): { from: number; to: number; step: number } | string {
  const [span = '', stepText, ...rest] = item.split('/')
  if (span === '' || rest.length > 0) return `has a misplaced separator, ${JSON.stringify(item)},`
  const step = stepText === undefined ? 1 : parseNumber(stepText)
  if (step === undefined || step < 1) return `has a step that is no number above 0, /${stepText},`
  if (span === '*' || (span === '?' && field.question))
    return { from: field.min, to: field.max, step }
  const [first = '', last, ...more] = span.split('-')
  if (more.length > 0) return `has a range that is none, ${span},`
  const from = parseValue(first, field)
  if (typeof from === 'string') return from
  // `5/10` goes on to the end, as `5-59/10` would
  if (last === undefined) return { from, to: stepText === undefined ? from : field.max, step }
  const to = parseValue(last, field)
  if (typeof to === 'string') return to
  if (to < from) return `has a range that runs backwards, ${span},`
  return { from, to, step }
}

function parseValue(text: string, { min, max, names }: FieldRule): number | string {
  const named = names?.indexOf(text.toUpperCase()) ?? -1
  const value = named >= 0 ? named + min : parseNumber(text)
  if (value !== undefined && value >= min && value <= max) return value
  const words = names === undefined ? '' : ` or ${names[0]}-${names.at(-1)}`
  return `has ${JSON.stringify(text)}, which is not ${min}-${max}${words},`
}

const parseNumber = (text: string): number | undefined =>
  /^\d{1,4}$/.test(text) ? Number(text) : undefined

/** Five fields are what `crontab` takes: say what becomes of them, its weekdays count differently. */
function fiveFields(parts: readonly string[]): string {
  const weekday = parts[4]!
  const numbered = /\d/.test(weekday)
    ? '; weekdays count from 1 (Sunday) to 7 here, SUN-SAT is safe'
    : ''
  return `has five fields; put the second in front: "0 ${parts.join(' ')}"${numbered}`
}

const fail = (reason: string): ParsedCron => ({ ok: false, reason })

const MONTHS = ['JAN', 'FEB', 'MAR', 'APR', 'MAY', 'JUN', 'JUL', 'AUG', 'SEP', 'OCT', 'NOV', 'DEC']
const DAYS = ['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT']
const FIELDS: readonly FieldRule[] = [
  { name: 'second', min: 0, max: 59 },
  { name: 'minute', min: 0, max: 59 },
  { name: 'hour', min: 0, max: 23 },
  { name: 'day', min: 1, max: 31, question: true },
  { name: 'month', min: 1, max: 12, names: MONTHS },
  { name: 'weekday', min: 1, max: 7, names: DAYS, question: true },
  { name: 'year', min: 1970, max: 2100 },
]
const MACROS: Readonly<Record<string, string>> = {
  '@yearly': '0 0 0 1 1 *',
  '@monthly': '0 0 0 1 * *',
  '@weekly': '0 0 0 * * SUN',
  '@daily': '0 0 0 * * *',
  '@hourly': '0 0 * * * *',
}
const CHARACTERS_MAX = 1000
