/** One mistake, planted in a copy of the tree to see whether the tests notice it. */
export interface Mutant {
  /** What is wrong with it; unique. */
  readonly name: string
  /** From the root of the repository. */
  readonly file: string
  /** Must be there exactly once: a mutant that no longer fits is mended, never skipped. */
  readonly find: string
  readonly replace: string
}

type Change = readonly [name: string, find: string, replace: string]

export const mutantsOf = (file: string, changes: readonly Change[]): Mutant[] =>
  changes.map(([name, find, replace]) => ({ name, file, find, replace }))

/** The text with its mistake, or why the mutant does not fit. */
export function planted(
  text: string,
  { find, replace }: Mutant,
): { text: string } | { why: string } {
  const places = text.split(find).length - 1
  if (places !== 1) return { why: `its text is there ${places} times` }
  const changed = text.replace(find, () => replace)
  return changed === text ? { why: 'it changes nothing' } : { text: changed }
}
