/** Of something thrown that nobody expected: what it is and where, in one line. */
export function faultLine(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const [what = error.message, where = ''] = (error.stack ?? '')
    .split('\n')
    .map((line) => line.trim())
  return where.startsWith('at ') ? `${what} ${where}` : `${error.name}: ${error.message}`
}
