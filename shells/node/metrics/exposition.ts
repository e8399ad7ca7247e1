/**
 * Metrics as Prometheus reads them: the text format, version 0.0.4
 * (https://prometheus.io/docs/instrumenting/exposition_formats/).
 */

export interface Metric {
  /** Letters, digits and underscores; of a counter it ends in `_total`. */
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly samples: readonly Sample[]
}

export interface Sample {
  readonly labels: Labels
  readonly value: number
  /** Of a histogram. */
  readonly part?: 'bucket' | 'sum' | 'count'
}

export type Labels = Readonly<Record<string, string>>

export const EXPOSITION_TYPE = 'text/plain; version=0.0.4; charset=utf-8'

/** A metric without samples is left out. Ends in a line feed. */
export function exposition(metrics: readonly Metric[]): string {
  const lines: string[] = []
  for (const { name, help, type, samples } of metrics) {
    if (samples.length === 0) continue
    lines.push(`# HELP ${name} ${escaped(help)}`, `# TYPE ${name} ${type}`)
    for (const { labels, value, part } of samples) {
      const full = part === undefined ? name : `${name}_${part}`
      lines.push(`${full}${labelText(labels)} ${numberText(value)}`)
    }
  }
  return lines.map((line) => `${line}\n`).join('')
}

/** One line for each bucket, the sum and the count. `upTo` are counts up to each bound, in order. */
export function histogram(
  labels: Labels,
  { bounds, upTo, sum, count }: Histogram,
): readonly Sample[] {
  const buckets = bounds.map((bound, index) => ({ le: numberText(bound), value: upTo[index] ?? 0 }))
  return [
    ...[...buckets, { le: '+Inf', value: count }].map(
      ({ le, value }): Sample => ({ labels: { ...labels, le }, value, part: 'bucket' }),
    ),
    { labels, value: sum, part: 'sum' },
    { labels, value: count, part: 'count' },
  ]
}

export interface Histogram {
  readonly bounds: readonly number[]
  readonly upTo: readonly number[]
  readonly sum: number
  readonly count: number
}

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(
    ([name, value]) => `${name}="${escaped(value).replaceAll('"', '\\"')}"`,
  )
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}

const escaped = (text: string): string => text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')

function numberText(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return '+Inf'
  return value === Number.NEGATIVE_INFINITY ? '-Inf' : String(value)
}
