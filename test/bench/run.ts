/**
 * `npm run bench` runs every `*.bench.ts` beside this file, `npm run bench -- NAME` those whose
 * file name begins with NAME, and prints one aligned table for each. Figures, never a verdict.
 */
import { readdir } from 'node:fs/promises'

export interface BenchRow {
  readonly what: string
  /** With its unit: `2.31 GB/s`. */
  readonly value: string
  /** Beside what, and how it was measured. */
  readonly note?: string
}

export interface Bench {
  readonly name: string
  rows(report: (row: BenchRow) => void): Promise<void>
}

/** The middle one: one run that was disturbed does not count. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? upper) + upper) / 2
}

/** Columns as wide as their widest cell; values end at one edge, so that figures line up. */
export function formatTable(rows: readonly BenchRow[]): string {
  const whatWidth = Math.max(0, ...rows.map(({ what }) => what.length))
  const valueWidth = Math.max(0, ...rows.map(({ value }) => value.length))
  return rows
    .map(({ what, value, note = '' }) =>
      `  ${what.padEnd(whatWidth)}  ${value.padStart(valueWidth)}  ${note}`.trimEnd(),
    )
    .join('\n')
}

async function benchFiles(prefix: string): Promise<string[]> {
  const files = await readdir(import.meta.dirname)
  return files.filter((file) => file.endsWith('.bench.ts') && file.startsWith(prefix)).sort()
}

async function main(prefix: string): Promise<number> {
  const files = await benchFiles(prefix)
  if (files.length === 0) {
    const known = (await benchFiles('')).map((file) => file.replace('.bench.ts', ''))
    console.error(`no benchmark begins with "${prefix}"; there are: ${known.join(', ')}`)
    return 2
  }
  let failed = 0
  for (const file of files) {
    const { default: bench } = (await import(`./${file}`)) as { default: Bench }
    const rows: BenchRow[] = []
    console.log(bench.name)
    try {
      await bench.rows((row) => rows.push(row))
    } catch (error) {
      failed += 1
      console.error(`  failed: ${error instanceof Error ? error.message : String(error)}`)
    }
    console.log(`${formatTable(rows)}\n`)
  }
  return failed > 0 ? 1 : 0
}

// Not awaited: benchmarks import this file, and would wait for its end for ever.
if (import.meta.main) {
  void main(process.argv[2] ?? '').then((code) => {
    process.exitCode = code
  })
}
