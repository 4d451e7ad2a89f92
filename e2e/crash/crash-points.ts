export const processRoles = ['api', 'relay', 'builds', 'sweeper'] as const;
export type ProcessRole = (typeof processRoles)[number];

/** Every step between two effects, named by the effect before it and the one that is still to come. */
const crashPoints = {
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
} as const satisfies Record<ProcessRole, readonly string[]>;

/** Where not the process ends but Redis, with all that it has. A relay passes them. */
export const redisCrashPoints = [
  'queue: asked, not enqueued',
  'queue: enqueued, not acknowledged',
] as const;
export type RedisCrashPoint = (typeof redisCrashPoints)[number];

export type CrashPoint = (typeof crashPoints)[ProcessRole][number] | RedisCrashPoint;

/** Those that a process of the role passes. */
export function crashPointsOf(role: ProcessRole): readonly CrashPoint[] {
  return role === 'relay' ? [...crashPoints.relay, ...redisCrashPoints] : crashPoints[role];
}

export const allCrashPoints: readonly CrashPoint[] = processRoles.flatMap(crashPointsOf);

/** The writes that a fence guards: a process that sleeps just before one of them wakes up with an old claim. */
export const pausePoints = [
  'heartbeat: due, not sent',
  'log: printed, not stored',
  'finish: decided, not stored',
  'release: decided, not stored',
] as const satisfies readonly CrashPoint[];
