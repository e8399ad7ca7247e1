/**
 * `node ask-between.ts PORT FROM,TO...`: asks once between each two addresses, and prints how many
 * answered. For where the test itself is not: another network namespace.
 */
import { Asker } from './asker.ts'

const [port, ...pairs] = process.argv.slice(2)
for (const pair of pairs) {
  const [from, to] = pair.split(',')
  const asker = await Asker.to(Number(port), to, from)
  const { text } = await asker.ask(pair)
  if (text !== pair) throw new Error(`${text} instead of ${pair}`)
  asker.close()
}
console.log(`${pairs.length} answered`)
