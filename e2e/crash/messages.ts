import { z } from 'zod';
import { sabotages } from './child/sabotage.ts';
import { allCrashPoints, processRoles, redisCrashPoints } from './crash-points.ts';

/** What the harness tells a process, a line each on its standard input; the first is its configuration. */
export const configurationSchema = z.strictObject({
  role: z.enum(processRoles),
  databaseUrl: z.string(),
  redisUrl: z.string(),
  directory: z.string(),
  leaseSeconds: z.number(),
  seed: z.int(),
  sabotage: z.enum(sabotages).optional(),
});
export type Configuration = z.output<typeof configurationSchema>;

const planSchema = z.strictObject({
  /** One of them fires: the first one as soon as it is passed, each further one only when those before it were waited for. */
  points: z.array(z.enum(allCrashPoints)),
  patienceMs: z.number(),
  action: z.enum(['crash', 'pause']),
  /** The plan counts from then on. */
  afterMs: z.number(),
});
export type Plan = z.output<typeof planSchema>;

export const orderSchema = z.discriminatedUnion('do', [
  z.strictObject({ do: z.literal('arm'), plan: planSchema }),
  /** From now on nothing goes wrong any more. */
  z.strictObject({ do: z.literal('calm') }),
]);
export type Order = z.output<typeof orderSchema>;

/** What a process tells the harness, a line each on file descriptor 3, written before it goes on. */
export const reportSchema = z.discriminatedUnion('is', [
  z.strictObject({ is: z.literal('ready'), port: z.int().nullable() }),
  z.strictObject({ is: z.literal('crashing'), point: z.enum(allCrashPoints) }),
  z.strictObject({ is: z.literal('ending-redis'), point: z.enum(redisCrashPoints) }),
  z.strictObject({
    is: z.literal('pausing'),
    point: z.enum(allCrashPoints),
    /** The claim under which it was about to write. */
    claim: z.strictObject({ id: z.string(), attempt: z.int() }).nullable(),
  }),
  z.strictObject({ is: z.literal('answer-lost'), operation: z.string() }),
]);
export type Report = z.output<typeof reportSchema>;

/** Exit codes of the processes. */
export const exitCodes = { stopped: 0, crashed: 99, notOpened: 75, didNotStop: 70 } as const;

/** Bounds of a line protocol: calls `take` with each whole line. */
export function splitLines(take: (line: string) => void): (chunk: string) => void {
  let rest = '';
  return (chunk) => {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line !== '') take(line);
  };
}
