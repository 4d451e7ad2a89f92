export const processRoles = ['api', 'relay', 'builds', 'sweeper', 'hub'] as const;
export type ProcessRole = (typeof processRoles)[number];

/** Every step between two effects, named by the effect before it and the one that is still to come. */
export const crashPoints = {
  api: [
    'source: received, not kept',
    'source: kept, not recorded',
    'source: recorded, not answered',
    'accept: asked, not stored',
    'accept: stored, not answered',
    'cancel: asked, not stored',
    'cancel: stored, not answered',
    'budget: asked, not stored',
    'budget: stored, not answered',
  ],
  relay: [
    'outbox: looked for, not taken',
    'outbox: taken, not enqueued',
    'outbox: enqueued, not removed',
    'outbox: removed, not committed',
    'outbox: committed, not counted',
  ],
  builds: [
    'claim: message taken, not claimed',
    'claim: claimed, not prepared',
    'run: prepared, not started',
    'run: started, not watched',
    'run: source opened, not read',
    'push: built, not pushed',
    'push: pushed, not reported',
    'confirm: reported, not looked up',
    'confirm: confirmed, not decided',
    'log: printed, not stored',
    'log: stored, not counted',
    'heartbeat: due, not sent',
    'heartbeat: sent, not noted',
    'finish: decided, not stored',
    'finish: stored, not acknowledged',
    'release: decided, not stored',
    'release: stored, not acknowledged',
  ],
  sweeper: [
    'sweep: due, not begun',
    'sweep: between two of its statements',
    'sweep: done, not counted',
  ],
  hub: ['queue: asked, not enqueued', 'queue: enqueued, not acknowledged'],
} as const satisfies Record<ProcessRole, readonly string[]>;
export type CrashPoint = (typeof crashPoints)[ProcessRole][number];

export const allCrashPoints: readonly CrashPoint[] = processRoles.flatMap(
  (role): readonly CrashPoint[] => crashPoints[role],
);

/** The writes that a fence guards: a process that sleeps just before one of them wakes up with an old claim. */
export const pausePoints = [
  'heartbeat: due, not sent',
  'log: printed, not stored',
  'finish: decided, not stored',
  'release: decided, not stored',
] as const satisfies readonly CrashPoint[];
