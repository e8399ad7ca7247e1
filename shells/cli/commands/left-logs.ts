/** What a node that has ended left in its log files. */
import { join } from 'node:path'
import { Effect } from 'effect'
import { type LogFilter, type LogLine, makeLogStore } from '../../node/log/store.ts'
import { noLogText } from '../../node/operator/api.ts'
import { failed } from '../failure.ts'

/** Undefined when there is no line of anything. Fails when there are lines, but none of that name. */
export function leftLogs(
  state: string,
  service: string | undefined,
  { tail, replica }: { readonly tail: number; readonly replica?: number },
): Promise<LogLine[] | undefined> {
  const filter: LogFilter = { ...nameOf(service), ...(replica === undefined ? {} : { replica }) }
  const directory = join(state, 'logs')
  const reading = Effect.gen(function* () {
    const store = yield* makeLogStore({ directory, notice: () => undefined })
    if (store.read({ ...filter, tail: 1 }).length > 0) return store.read({ ...filter, tail })
    return store.read({ tail: 1 }).length > 0 ? failed(noLogText(filter)) : undefined
  })
  return Effect.runPromise(Effect.scoped(reading)).then((read) => {
    if (read instanceof Error) throw read
    return read
  })
}

function nameOf(service: string | undefined): LogFilter {
  if (service === undefined) return {}
  const slash = service.indexOf('/')
  if (slash === -1) return { service }
  return { deployment: service.slice(0, slash), service: service.slice(slash + 1) }
}
