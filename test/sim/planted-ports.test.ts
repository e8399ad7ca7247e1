import { describe } from 'vitest'
import type { Attempt } from '../../core/machine.ts'
import type { NodeCommand, SocketUse, TcpRoute } from '../../core/node/commands.ts'
import type { RequestId, SocketEvent } from '../../core/node/events.ts'
import type { SocketId } from '../../core/publish/events.ts'
import type { ListenerId, ReplicaId } from '../../core/services/identity.ts'
import { listenersOf } from '../../sim/faults/sockets.ts'
import { type Planted, testPlanted } from './catching.ts'
import {
  plant,
  plantInEntrances,
  plantInListeners,
  plantSettings,
  type Saboteur,
  withServices,
} from './planted.ts'

type Of<Type extends NodeCommand['type']> = Extract<NodeCommand, { readonly type: Type }>

/** The command is left out, and the node hears at once what it would have been answered. */
const onPaper = (isMeant: (command: Of<'unbind-socket'>) => boolean): Saboteur => ({
  order: (commands, _event, tell) =>
    commands.flatMap((each) => {
      if (each.type !== 'unbind-socket' || !isMeant(each)) return each
      const { socket, attempt } = each
      return tell({ type: 'socket-unbound', socket, attempt })
    }),
})

const rerouted = (each: NodeCommand, change: (use: SocketUse) => SocketUse): NodeCommand =>
  each.type === 'bind-socket' || each.type === 'route-socket'
    ? { ...each, use: change(each.use) }
    : each

const SOCKETS: readonly Planted[] = [
  {
    bug: 'a socket that is not wanted any more is forgotten',
    breed: plant(() => onPaper(({ socket }) => socket % 4 === 0)),
    checker: 'sockets',
    says: /is bound beside socket|is held by socket/,
    seeds: 60,
  },
  {
    bug: 'a port is bound anew before it is let go of',
    breed: plant(() => ({
      order: (commands, _event, tell) =>
        commands.flatMap((each) => {
          if (each.type !== 'unbind-socket') return each
          const { socket, attempt } = each
          const more = tell({ type: 'socket-unbound', socket, attempt })
          return [each, ...more.filter(({ type }) => type !== 'close-listener')]
        }),
    })),
    checker: 'sockets',
    says: /is bound beside socket/,
    seeds: 60,
  },
  {
    bug: 'a removal is answered before its sockets are closed',
    breed: plant(() => {
      const running = new Set<ReplicaId>()
      const answered = new Set<RequestId>()
      return {
        order: (commands, event) => {
          for (const each of commands) {
            if (each.type === 'create-replica') running.add(each.replica)
          }
          if (event.type === 'replica-removed') running.delete(event.replica)
          const left = commands.filter(
            (each) => each.type !== 'reply' || !answered.has(each.request),
          )
          if (event.type !== 'remove') return left
          const { request, deployment } = event
          const isLeft = [...running].some((each) => each.startsWith(`${deployment}/`))
          if (isLeft || left.some(({ type }) => type === 'reply')) return left
          answered.add(request)
          return [...left, { type: 'reply', request, result: { ok: true, text: 'removed' } }]
        },
      }
    }),
    checker: 'ports',
    says: /is removed, but socket \d+ holds/,
    seeds: 60,
  },
  {
    bug: 'an answer counts whichever attempt it is about',
    breed: plant(() => {
      const failed = new Map<SocketId, SocketEvent>()
      return {
        tell: (event) => {
          if (event.type === 'socket-failed') failed.set(event.socket, event)
          return [event]
        },
        order: (commands, _event, tell) =>
          commands.flatMap((each) => {
            const earlier = each.type === 'bind-socket' ? failed.get(each.socket) : undefined
            if (each.type !== 'bind-socket' || earlier === undefined) return each
            failed.delete(each.socket)
            // It came twice, the second time after the next attempt.
            return [each, ...tell({ ...earlier, attempt: each.attempt })]
          }),
      }
    }),
    checker: 'universal',
    says: /^bind-socket \d+ while it is bound/,
    seeds: 60,
  },
  {
    bug: 'a port is given up by what the file says now, not by what was recorded',
    breed: plant(() => {
      let isChange = false
      return {
        tell: (event) => {
          isChange = event.type === 'deploy'
          return [event]
        },
        ...onPaper(() => isChange),
      }
    }),
    checker: 'universal',
    says: /^close-listener .*, to which socket \d+ leads, which is bound$/,
    seeds: 60,
  },
  {
    bug: 'a port is given to a second owner',
    breed: plant(() => ({
      order: (commands) =>
        commands.map((each): NodeCommand => {
          if (each.type !== 'reply' || each.result.ok || each.result.code !== 'conflict')
            return each
          return { ...each, result: { ok: true, text: 'deployed' } }
        }),
    })),
    checker: 'ports',
    says: /was given .* of (shop|blog|wiki)/,
    seeds: 30,
  },
  {
    bug: 'a deploy that is refused goes half of the way',
    breed: plant(() => ({
      order: (commands, event) =>
        commands.map((each): NodeCommand => {
          if (event.type !== 'deploy' || each.type !== 'reply' || !each.result.ok) return each
          return { ...each, result: { ok: false, code: 'conflict', text: 'port-conflict' } }
        }),
    })),
    checker: 'ports',
    says: /is refused, and there is/,
    seeds: 10,
  },
  {
    bug: 'a deploy is refused for a conflict that is none',
    breed: plant(() => ({
      tell: (event) => (event.type === 'deploy' ? [] : [event]),
      order: (commands, event) =>
        event.type !== 'deploy'
          ? commands
          : [
              {
                type: 'reply',
                request: event.request,
                result: { ok: false, code: 'conflict', text: 'port-conflict' },
              },
            ],
    })),
    checker: 'ports',
    says: /was refused for nothing/,
    seeds: 3,
  },
  {
    bug: 'what is internal is open to all',
    breed: plant(() => ({
      order: (commands) =>
        commands.map((each) =>
          each.type === 'bind-socket' && each.host === '127.0.0.1'
            ? { ...each, host: '0.0.0.0' }
            : each,
        ),
    })),
    checker: 'sockets',
    says: /who did not ask for it/,
    seeds: 20,
  },
  {
    bug: 'the policy of loopback publications is not asked',
    breed: plant(() => ({
      tell: (event) => {
        if (event.type !== 'deploy') return [event]
        const deployment = withServices(event.deployment, (spec) => ({
          ...spec,
          localhostReachability: 'always',
        }))
        return [{ ...event, deployment }]
      },
    })),
    checker: 'sockets',
    says: /who did not ask for it/,
    seeds: 60,
  },
  {
    bug: 'tenants of a port get what is for each other',
    breed: plant(() => ({
      order: (commands) =>
        commands.map((each) =>
          rerouted(each, (use) => {
            if (use.kind !== 'tcp') return use
            const [first] = use.routes
            if (first === undefined || 'http' in first) return use
            const routes = use.routes as readonly TcpRoute[]
            return routes.length < 2 ? use : { ...use, routes: shifted(routes) }
          }),
        ),
    })),
    checker: 'sockets',
    says: /leads .* to .*/,
    seeds: 100,
  },
  {
    bug: 'requests for one tenant of a port go to another',
    breed: plant(() => ({
      order: (commands) =>
        commands.map((each) =>
          rerouted(each, (use) => {
            const [doorway] = use.kind === 'tcp' ? use.routes : []
            if (use.kind !== 'tcp' || doorway === undefined || !('http' in doorway)) return use
            return { ...use, routes: [{ ...doorway, http: shifted(doorway.http) }] }
          }),
        ),
    })),
    checker: 'sockets',
    says: /leads http .* to .*/,
    seeds: 100,
  },
  {
    bug: 'a socket is not told that it leads elsewhere',
    breed: plant(() => ({
      order: (commands) => commands.filter(({ type }) => type !== 'route-socket'),
    })),
    checker: 'liveness',
    says: /to listen on/,
    seeds: 40,
  },
  {
    bug: 'a port that the kernel picked changes while it is published',
    breed: plant(() => {
      const picked = new Map<ListenerId, { readonly socket: SocketId; attempt: Attempt }>()
      return {
        order: (commands) =>
          commands.flatMap((each): NodeCommand[] => {
            if (each.type === 'bind-socket' && each.port === 0 && each.use.kind === 'tcp') {
              const { socket, attempt } = each
              for (const listener of listenersOf(each.use))
                picked.set(listener, { socket, attempt })
            }
            if (each.type !== 'apply-backends' || each.version < 2) return [each]
            const found = picked.get(each.listener)
            if (found === undefined || each.backends.length === 0) return [each]
            const { socket, attempt } = found
            return [each, { type: 'unbind-socket', socket, attempt: attempt + 1 }]
          }),
      }
    }),
    checker: 'sockets',
    says: /is given up while it is published/,
    seeds: 200,
  },
  {
    bug: 'a port that the kernel picked is not said',
    breed: plant(() => ({
      view: (real) => ({
        ...real,
        services: real.services.map((each) => ({
          ...each,
          endpoints: each.endpoints.map((url) => url.replace(/:327\d\d$/, ':0')),
        })),
      }),
    })),
    checker: 'sockets',
    says: /does not say that it is on port/,
    seeds: 60,
  },
  {
    bug: 'a move cuts live connections',
    breed: plant(() => {
      const sent = new Map<ListenerId, readonly ReplicaId[]>()
      return {
        order: (commands, event) => {
          for (const each of commands) {
            if (each.type !== 'apply-backends') continue
            sent.set(
              each.listener,
              each.backends.map(({ id }) => id),
            )
          }
          if (event.type !== 'internal-addresses') return commands
          return [
            ...commands,
            ...[...sent].flatMap(([listener, backends]) =>
              backends.map((backend) => ({ type: 'cut-backend', listener, backend }) as const),
            ),
          ]
        },
      }
    }),
    checker: 'services',
    says: /cuts .*, which is not leaving/,
    seeds: 60,
  },
  {
    bug: 'addresses of the internal network are not listened on',
    breed: plant(() => ({
      tell: (event) => (event.type === 'internal-addresses' ? [] : [event]),
    })),
    checker: 'settled',
    says: /does not listen on (tcp|udp) (10\.77\.0\.1|\[fd77::1\])/,
    seeds: 100,
  },
  {
    bug: 'a machine without IPv6 is no good',
    breed: plant(() => ({
      tell: (event) => {
        if (event.type !== 'socket-failed' || event.isMissing !== true) return [event]
        const { isMissing: _, ...rest } = event
        return [rest]
      },
    })),
    checker: 'liveness',
    says: /to be called ready/,
    seeds: 140,
  },
  {
    bug: 'a shutdown waits for old work for ever',
    breed: plantSettings((node) => ({ ...node, drainTimeoutMs: 100_000_000 })),
    checker: 'shutdowns',
    says: /after the drain time of the node/,
    seeds: 60,
  },
]

const CONNECTIONS: readonly Planted[] = [
  {
    bug: 'whatever name is asked for, the first route gets it',
    breed: plantInEntrances({
      order: (each, { routes }) =>
        each.type === 'admit' ? { ...each, route: routes[0]!.id } : each,
    }),
    checker: 'entrances',
    says: /is led to/,
    seeds: 200,
  },
  {
    bug: 'names are not looked at',
    breed: plantInEntrances({
      configure: ({ routes, ...rest }) => {
        const [first] = routes
        if (first === undefined || first.tls !== 'terminate') return { ...rest, routes }
        return { ...rest, routes: [{ id: first.id, tls: first.tls }] }
      },
    }),
    checker: 'entrances',
    says: /is led to|is let in, not refused|without TLS|before it asked|without reason/,
    seeds: 100,
  },
  {
    bug: 'a PROXY header is believed whoever sends it',
    breed: plantInEntrances({
      configure: (config) => ({
        ...config,
        trustedProxies: [
          { network: { a: 0, b: 0, c: -65_536, d: 0, port: 0 }, bits: 96 },
          { network: { a: 0, b: 0, c: 0, d: 0, port: 0 }, bits: 0 },
        ],
      }),
    }),
    checker: 'entrances',
    says: /is refused as proxy-header without reason|loses bytes|is taken for/,
    seeds: 20,
  },
  {
    bug: 'what was read on the way in is lost',
    breed: plantInEntrances({
      order: (each) =>
        each.type === 'admit' ? { ...each, bytes: each.bytes.subarray(0, 0) } : each,
    }),
    checker: 'entrances',
    says: /loses bytes on the way in/,
    seeds: 100,
  },
  {
    bug: 'whom a proxy announces is forgotten',
    breed: plantInEntrances({
      order: (each) => {
        if (each.type !== 'admit') return each
        const { peers: _, ...rest } = each
        return rest
      },
    }),
    checker: 'entrances',
    says: /loses its address/,
    seeds: 20,
  },
  {
    bug: 'a client that says nothing may stay on the way in',
    breed: plantInEntrances({ deadline: () => undefined }),
    checker: 'entrances',
    says: /is on its way in for \d+ ms/,
    seeds: 100,
  },
  {
    bug: 'an upstream is told of another client',
    breed: plantInListeners(
      () => (commands) =>
        commands.map((each) => {
          if (each.type !== 'write' || each.to !== 'upstream' || each.bytes[0] !== 13) return each
          const bytes = each.bytes.slice()
          bytes[19] = (bytes[19] ?? 0) + 1
          return { ...each, bytes }
        }),
    ),
    checker: 'listeners',
    says: /got bytes that were not sent to it/,
    seeds: 100,
  },
  {
    bug: 'a backend gets as many connections as come',
    breed: plantInListeners(
      () => (commands) => [...commands],
      (config) => ({ ...config, connectionsPerBackendMax: 0 }),
    ),
    checker: 'listeners',
    says: /has \d+ of \d+ clients/,
    seeds: 200,
  },
  {
    bug: 'an upstream that speaks TLS is spoken to in clear',
    breed: plantInListeners(
      () => (commands) => [...commands],
      (config) => ({ ...config, upstreamTls: false }),
    ),
    checker: 'listeners',
    says: /in clear$/,
    seeds: 100,
  },
]

describe('a bug planted in what is done with ports is caught', () => testPlanted(SOCKETS))
describe('a bug planted on the way of connections is caught', () => testPlanted(CONNECTIONS))

/** Each gets what is for the one after it. */
const shifted = <Route extends { readonly listener: ListenerId }>(
  routes: readonly Route[],
): readonly Route[] =>
  routes.map((route, at) => ({ ...route, listener: routes[(at + 1) % routes.length]!.listener }))
