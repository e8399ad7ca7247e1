import { mutantsOf } from '../mutant.ts'

/** Who may have a port, and what is published on it. */
export const publishClaims = [
  ...mutantsOf('core/publish/ports/conflicts.ts', [
    [
      'a wildcard is in nobody’s way',
      'if (!overlaps(other.reach, asked.reach)) continue',
      'if (other.reach.key !== asked.reach.key) continue',
    ],
    ['TLS shares a port with plain', ' && a.tls === b.tls', ''],
    [
      'whoever wants a port alone shares it with tenants',
      'a !== undefined && b !== undefined && a.tls === b.tls && a.terms === b.terms',
      'a?.tls === undefined || b?.tls === undefined || (a.tls === b.tls && a.terms === b.terms)',
    ],
    ['tenants need not agree on terms', ' && a.terms === b.terms', ''],
    ['two tenants have one route', 'if (a?.route === b?.route) return', 'if (false) return'],
    ['a route that is taken is not named', ', route: b!.route', ''],
    [
      'owners of one event are not compared',
      'amongClaims(each, before.get(keyOf(each)) ?? [], () => true) ??',
      '',
    ],
    ['owners of one event cannot exchange ports', '(owner) => !wished.has(owner)', '() => true'],
    [
      'a port that is being closed is anybody’s',
      "if (socket.state === 'releasing') {",
      "if (socket.state === 'releasing' && false) {",
    ],
    ['a port that is being closed is said to stay', ', isLeaving: true', ''],
    [
      'a port one gave up oneself is refused',
      'leavers.some((each) => each === asked.owner || wished.has(each))',
      'leavers.some((each) => wished.has(each) && each !== asked.owner)',
    ],
    [
      'who was granted a port and waits is refused it',
      'if (isGranted(asked, port, wished)) continue',
      '',
    ],
    [
      'who has a part of a port is granted the whole',
      'if (covers(reach, asked.reach)) return true',
      'if (overlaps(reach, asked.reach)) return true',
    ],
    [
      'a port given up in this event stands for its tenants',
      'if (owner !== asked.owner && wished.has(owner)) continue',
      '',
    ],
    [
      'a port the kernel picked is anybody’s',
      'socket.asked === 0 ? keeperOf(socket, wished) : undefined',
      'undefined',
    ],
    [
      'a port the kernel picked is never given up',
      'return next !== undefined && isSamePlace(next, claim) ? owner : undefined',
      'return owner',
    ],
    [
      'a port the kernel picked is refused to its owner',
      'holder !== undefined && holder !== asked.owner',
      'holder !== undefined',
    ],
    [
      'what somebody keeps is not compared',
      'for (const each of asked) if (isKept.get(each) === true) remember(before, each)',
      '',
    ],
    [
      'who is named first takes what another one has',
      'if (isSameTenancy(claim.tenancy, asked.claim.tenancy)) return true',
      'if (claim.port === 0) return true',
    ],
    [
      'a port is kept with another name',
      'if (isSameTenancy(claim.tenancy, asked.claim.tenancy)) return true',
      'if (claim.port !== 0) return true',
    ],
    [
      'any claim is for port 0',
      'claims.filter(({ port }) => port !== 0)',
      'claims.filter(({ port }) => port < 0)',
    ],
  ]),
  ...mutantsOf('core/publish/ports/claims.ts', [
    ['a ledger is never full', 'conflicts.length > 0 || isFull', 'conflicts.length > 0'],
    [
      'a full ledger lets nobody give anything up',
      'return asked <= standing || state.claims',
      'return state.claims',
    ],
    [
      'a full ledger counts what is replaced twice',
      'state.claims - standing + asked',
      'state.claims + asked',
    ],
    [
      'what is refused is half granted',
      '    counters.claimsRefused += asked\n',
      "    grant(step, wishes[0] ?? { owner: 'A', claims: [] }, { ports: new Set(), ephemeral: new Map() })\n",
    ],
    [
      'a wish granted again is granted anew',
      'if (present !== undefined && isSame(present.claim, claim)) record',
      'if (false) record',
    ],
    ['what left the file stays published', 'state.counters.withdrawn += gone.backends.size\n', ''],
    ['a claim that leaves keeps its port', '    leaveClaim(step, gone, touched)\n', ''],
    ['a claim that moves loses its backends', 'present?.backends ?? new Map()', 'new Map()'],
    [
      'the port the system picked is lost with any change',
      'if (socket === undefined || !isSamePlace(present!.claim, record.claim)) return undefined',
      'if (record) return undefined',
    ],
    [
      'a picked port stays where the address changes',
      'if (socket === undefined || !isSamePlace(present!.claim, record.claim)) return undefined',
      'if (socket === undefined) return undefined',
    ],
    [
      'a picked port that changes hands within an owner is not said',
      '    if (inherited !== undefined) carriesOthers(step, inherited)\n',
      '',
    ],
    [
      'the port a claim leaves is not looked at',
      '  port.claims.delete(record)\n  touched.ports.add(port)',
      '  port.claims.delete(record)',
    ],
    ['a picked port outlives its claim', 'if (socket !== undefined) release(step, socket)', ''],
    [
      'an owner without claims is kept',
      '  for (const owner of owners) dropOwnerIfEmpty(state, owner)\n',
      '',
    ],
    ['backends have no bound', '(present === undefined && !isRoom)', 'false'],
    ['a backend that changes needs room', '(present === undefined && !isRoom)', '!isRoom'],
    [
      'a backend published again counts again',
      'if (present === undefined) state.counters.published += 1',
      'state.counters.published += 1',
    ],
    [
      'a backend that changes stays as it was',
      'record.backends.set(backend.id, backend)',
      'if (present === undefined) record.backends.set(backend.id, backend)',
    ],
    [
      'the first backend opens nothing',
      'record.backends.set(backend.id, backend)\n  if (present === undefined) state.counters.published += 1\n  reconsider(step, record, wasWanted)',
      'record.backends.set(backend.id, backend)\n  if (present === undefined) state.counters.published += 1',
    ],
    ['the last backend closes nothing', '    reconsider(step, each, wasWanted)\n', ''],
    [
      'a backend is withdrawn from every claim',
      'return claim === undefined ? [] : [claim]',
      'return [...record.claims.values()]',
    ],
    [
      'a claim of another name is not there, so all are meant',
      'const claim = record.claims.get(id)',
      'const claim = record.claims.get(id) ?? [...record.claims.values()][0]',
    ],
    ['other terms are no other claim', 'a.tenancy?.terms === b.tenancy?.terms &&', ''],
    ['another route is no other claim', 'a.tenancy?.route === b.tenancy?.route &&', ''],
    [
      'who begins to mind is not heard',
      ' &&\n    (a.isOptional ?? false) === (b.isOptional ?? false)',
      '',
    ],
    ['from published to always nothing changes', 'a.bind === b.bind &&', ''],
  ]),
  ...mutantsOf('core/publish/ports/overlap.ts', [
    [
      ':: without IPv4 covers IPv4',
      "return wide.width === 'family' && narrow.width !== 'all' && wide.family === narrow.family",
      "return wide.width === 'family' && narrow.width !== 'all'",
    ],
    ['a family covers everything', "narrow.width !== 'all' && ", ''],
    [':: with IPv4 is without', 'return isV6Only ? EVERY_IPV6 : EVERYTHING', 'return EVERY_IPV6'],
    [':: takes IPv4 unless told otherwise', 'isV6Only = true', 'isV6Only = false'],
    [
      'an IPv4-mapped address is IPv6',
      'const plain: IpAddress = unmapped(ip)',
      'const plain: IpAddress = ip',
    ],
    ['everything covers what is no address', 'return narrow.family !== 0', 'return true'],
    [
      'what covers is named narrowest first',
      '[EVERYTHING.key, every.key, key]',
      '[key, every.key, EVERYTHING.key]',
    ],
    [
      'an address rides on its family, not on everything',
      '[EVERYTHING.key, every.key, key]',
      '[every.key, key]',
    ],
    [
      'a family never rides on everything',
      "width === 'family' ? [EVERYTHING.key, key]",
      "width === 'family' ? [key]",
    ],
  ]),
  ...mutantsOf('core/publish/ledger.ts', [
    [
      'nobody is woken for what is left of a tick',
      'return this.state.goOnAt ?? this.state.timers.next()',
      'return this.state.timers.next()',
    ],
    [
      'a socket that carries two claims is two',
      'const all = new Set([...carrying, ...record.leaving])',
      'const all = [...carrying, ...record.leaving]',
    ],
    [
      'a socket being closed is nobody’s',
      'const all = new Set([...carrying, ...record.leaving])',
      'const all = new Set(carrying)',
    ],
    [
      'an address of its own is not named',
      "WILDCARDS.has(host) ? '' :",
      "WILDCARDS.has(host) || true ? '' :",
    ],
    [
      'whoever leaves is told to be removed',
      'if (isLeaving) return',
      'if (isLeaving && !conflict) return',
    ],
  ]),
]
