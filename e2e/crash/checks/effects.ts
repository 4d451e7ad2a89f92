import type { TraceEvent } from '../trace.ts';
import type { Finding } from './finding.ts';

/** The clocks of the processes and of PostgreSQL are the machine's, but not read at the same instant. */
const toleranceMs = 25;

export interface EffectsReport {
  readonly findings: readonly Finding[];
  readonly events: ReadonlyMap<string, readonly TraceEvent[]>;
  readonly pushes: number;
}

/** Holds what the processes did against the rules of claims: one live attempt at a time, and no word from an old one. */
export async function checkEffects(
  trace: AsyncIterable<TraceEvent>,
  leaseSeconds: number,
): Promise<EffectsReport> {
  const events = new Map<string, TraceEvent[]>();
  let pushes = 0;
  for await (const event of trace) {
    if (event.event === 'pushed') pushes += 1;
    const known = events.get(event.buildId);
    if (known) known.push(event);
    else events.set(event.buildId, [event]);
  }
  const findings = [...events].flatMap(([buildId, ofBuild]) =>
    checkBuild(ofBuild, leaseSeconds * 1000).map(
      (what): Finding => ({ kind: 'doubled', what, buildId }),
    ),
  );
  return { findings, events, pushes };
}

function checkBuild(events: readonly TraceEvent[], leaseMs: number): string[] {
  const claims = events.filter(({ event }) => event === 'claimed');
  return [
    ...atMostOnce(events, 'claimed'),
    ...atMostOnce(events, 'started'),
    ...atMostOnce(events, 'pushed'),
    ...finishedOnce(events),
    ...claims.flatMap((claim) => [
      ...staleWrites(events, claim),
      ...liveLease(events, claim, leaseMs),
    ]),
  ];
}

function atMostOnce(events: readonly TraceEvent[], name: TraceEvent['event']): string[] {
  const attempts = events.filter(({ event }) => event === name).map(({ attempt }) => attempt);
  return attempts
    .filter((attempt, index) => attempts.indexOf(attempt) !== index)
    .map((attempt) => `attempt ${attempt} was ${name} twice`);
}

/** An attempt whose answer got lost says it again, and is told that so it is; PostgreSQL's events show that it counted once. */
function finishedOnce(events: readonly TraceEvent[]): string[] {
  const finishes = events.filter(({ operation }) => operation === 'finish');
  const attempts = new Set(finishes.map(({ attempt }) => attempt));
  return attempts.size > 1 ? [`finishes of ${attempts.size} attempts were taken`] : [];
}

/** Asked for after another had claimed the build, and taken all the same. */
function staleWrites(events: readonly TraceEvent[], claim: TraceEvent): string[] {
  return events
    .filter(
      ({ event, attempt, askedAt }) =>
        event === 'wrote' && attempt < claim.attempt && askedAt > claim.at,
    )
    .map(
      ({ operation, attempt }) =>
        `a ${operation} of attempt ${attempt} was taken after attempt ${claim.attempt} had begun`,
    );
}

/** Taken from a holder that had just shown that it lives, and had not let go. */
function liveLease(events: readonly TraceEvent[], claim: TraceEvent, leaseMs: number): string[] {
  const earlier = events.filter(({ attempt }) => attempt === claim.attempt - 1);
  const letGo = earlier.some(({ event, askedAt }) => event === 'releasing' && askedAt < claim.at);
  const renewals = earlier
    .filter(({ event, operation }) => event === 'claimed' || operation === 'heartbeat')
    .map(({ askedAt }) => askedAt);
  const liveUntil = Math.max(...renewals) + leaseMs;
  if (letGo || claim.at + toleranceMs >= liveUntil) return [];
  const ms = Math.round(liveUntil - claim.at);
  return [`attempt ${claim.attempt} began ${ms} ms before the lease of the one before had ended`];
}
