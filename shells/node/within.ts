/** Waits for work, but not for ever; true when it was done in time. Leaves no timer behind. */
export async function within(work: Promise<unknown>, boundMs: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const bound = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), boundMs)
  })
  const done = work.then(() => true)
  try {
    return await Promise.race([done, bound])
  } finally {
    clearTimeout(timer)
  }
}
