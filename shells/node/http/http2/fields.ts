/** Fields of HTTP/2 as Node wants them where it takes no list, and its lists taken apart. */

export type FieldRecord = Record<string, string | string[] | number>

/** name, value, name, value...: those that are repeated stay so. */
export function recordOf(fields: readonly string[]): FieldRecord {
  const record: Record<string, string[]> = Object.create(null)
  for (let at = 0; at < fields.length; at += 2) {
    const values = record[fields[at]!]
    if (values === undefined) record[fields[at]!] = [fields[at + 1]!]
    else values.push(fields[at + 1]!)
  }
  return record
}

/** Where the fields begin: pseudo-header fields come before all others (RFC 9113, 8.3). */
export function pseudoEnd(raw: readonly string[]): number {
  let at = 0
  while (at < raw.length && raw[at]!.startsWith(':')) at += 2
  return at
}
