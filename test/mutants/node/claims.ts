import { mutantsOf } from '../mutant.ts'

/** What services ask of the ledger, and when they ask again. */
export const claims = [
  ...mutantsOf('core/node/service/claims.ts', [
    [
      'who was refused a port is not asked for again',
      'if (service !== undefined) asking.add(service)',
      '',
    ],
    [
      'one port that is refused costs all of them',
      'claims: claims.filter((claim) => !refused.some((each) => isOf(claim, each)))',
      'claims: refused.length > 0 ? [] : claims',
    ],
    [
      'a port that is refused at one address is at all',
      'claim.namespace === namespace && claim.host === host && claim.port === port',
      'claim.namespace === namespace && claim.port === port',
    ],
    [
      'a port that is refused to tcp is to udp',
      'claim.namespace === namespace && claim.host === host && claim.port === port',
      'claim.host === host && claim.port === port',
    ],
    [
      'a socket with backends is closed in between',
      'const supplied = granted.map((wish) => asSupplied(step, wish))',
      'const supplied = granted',
    ],
    [
      'what listened once listens for ever',
      'if (supplied.some((wish, at) => wish !== granted[at])) {',
      'if (supplied.length > granted.length) {',
    ],
    [
      'what is behind a new claim is not told',
      '  for (const service of asking) republish(step, service)\n',
      '',
    ],
    [
      'what comes in goes where the old file says',
      '  for (const service of asking) refreshUses(step, service.key)\n',
      '',
    ],
    [
      'a deployment that is held has no ports yet',
      "const isHeld = service.stage === 'held' && service.listeners.size === 0",
      'const isHeld = false',
    ],
    ['what is only held is bound', "({ ...claim, bind: 'published' })", '({ ...claim })'],
    [
      'a program’s port is free while it runs by an older file',
      'wanted.push(...(replicaOf(state, slot)?.ownPorts ?? []).map(programClaim))',
      '',
    ],
    [
      'a program’s port outlives its service',
      "if (!isHeld && service.stage !== 'leaving') wanted.push",
      'if (!isHeld) wanted.push',
    ],
    [
      'a shutdown goes on taking connections',
      "if (!isOutside || state.phase !== 'draining') found.push(claim)",
      'found.push(claim)',
    ],
    [
      'a shutdown goes on taking connections to mappings',
      "purpose === 'public' || purpose === 'mapping'",
      "purpose === 'public'",
    ],
    [
      'a shutdown closes what others inside still use',
      "purpose === 'public' || purpose === 'mapping'",
      'claim.port >= 0',
    ],
    ['the same conflict is told each time', 'if (!known.includes(text))', 'if (known.length >= 0)'],
    [
      'who waits for a service of its own deployment complains',
      'conflicts.filter(({ owner }) => !owner.startsWith(`${deployment}/`))',
      'conflicts.filter(({ owner }) => owner !== deployment)',
    ],
    [
      'a program’s port is never given back',
      'if (isHeld && !step.state.deferred.has(service.key)) return',
      'if (isHeld || asked.size >= 0) return',
    ],
    [
      'who was granted a port is started with the next plan',
      '  state.toPlan.add(service.key)\n',
      '',
    ],
  ]),
  ...mutantsOf('core/node/deploy.ts', [
    [
      'a port is freed by who goes only after who comes was refused it',
      'state.ledger.conflicts([...leaving, ...wishes])',
      'state.ledger.conflicts([...wishes, ...leaving.slice(leaving.length)])',
    ],
    [
      'a port that a replica has is given to a service',
      'if (holder === undefined) continue',
      'if (holder !== undefined || port >= 0) continue',
    ],
    ['new services have no ports before they begin', '  claimPorts(step, arrived)\n', ''],
    [
      'a service that is held keeps the ports of its old file',
      'else claimPorts(step, updated)',
      '',
    ],
  ]),
]
