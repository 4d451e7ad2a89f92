import { type Mutant, mutantsOf } from '../mutant.ts';

const requeueing = [
  'build-requeue-queued',
  'build-requeue-expired',
  'deployment-requeue-queued',
  'deployment-requeue-expired',
];
const isOver = 'AND (counted_attempts >= maximum_attempts OR cancel_requested)';
const isFree = "(state = 'QUEUED' OR (state = 'RUNNING' AND lease_until < now()))";

export const recovery: readonly Mutant[] = [
  ...mutantsOf('outbox-waiting', [
    { find: 'ready OR', replace: '', why: 'builds that are let through are seen' },
    { find: "OR kind = 'deployment'", replace: '', why: 'deployments are seen' },
  ]),
  ...mutantsOf('outbox-take', [
    {
      find: 'FOR UPDATE SKIP LOCKED',
      replace: '',
      why: 'two relays do not deliver the same',
    },
    { find: 'SKIP LOCKED', replace: '', why: 'a relay that hangs holds no other up' },
    {
      find: "WHERE ready OR kind = 'deployment'",
      replace: '',
      why: 'what was not dispatched is not delivered',
    },
    {
      find: "OR kind = 'deployment'",
      replace: '',
      why: 'deployments are delivered',
    },
    { find: 'ORDER BY id', replace: 'ORDER BY id DESC', why: 'the oldest is delivered first' },
  ]),

  ...mutantsOf('dispatch-waiting', [
    { find: "state = 'QUEUED' AND", replace: "state = 'RUNNING' AND", why: 'what waits is seen' },
    { find: 'AND NOT dispatched', replace: 'AND dispatched', why: 'what waits is seen' },
  ]),

  ...mutantsOf('dispatch-lock', [
    {
      find: "pg_advisory_xact_lock(hashtextextended('cygni.dispatch', 0))",
      replace: '1',
      why: 'two dispatches do not fill the same room',
    },
    { find: 'FOR UPDATE SKIP LOCKED', replace: '', why: 'a relay that hangs holds no dispatch up' },
    { find: 'SKIP LOCKED', replace: '', why: 'a relay that hangs holds no dispatch up' },
    { find: "kind = 'build' AND", replace: '', why: 'messages of deployments stay' },
    { find: 'AND NOT ready', replace: '', why: 'messages of dispatched builds stay' },
  ]),
  ...mutantsOf('dispatch', [
    {
      find: "FROM cygni.builds WHERE state = 'QUEUED' AND dispatched",
      replace: "FROM cygni.builds WHERE state = 'QUEUED'",
      why: 'what waits takes no room in the queue',
    },
    {
      find: "FROM cygni.builds WHERE state = 'QUEUED' AND dispatched",
      replace: 'FROM cygni.builds WHERE dispatched',
      why: 'what runs, or has ended, makes room in the queue',
    },
    {
      find: '$2::bigint - count(*)',
      replace: '$2::bigint',
      why: 'what lies in the queue counts',
    },
    {
      find: 'greatest(0, least($3::bigint, $2::bigint - count(*)))',
      replace: 'greatest(0, $2::bigint - count(*) + 0 * $3::bigint)',
      why: 'a call has its limit',
    },
    {
      find: 'WHERE held.tenant_id = tenant.tenant_id\n          AND',
      replace: 'WHERE',
      why: 'no tenant takes the room of another',
    },
    {
      find: "held.state = 'RUNNING' OR",
      replace: '',
      why: 'what runs counts for its tenant',
    },
    {
      find: "OR (held.state = 'QUEUED' AND held.dispatched)",
      replace: '',
      why: 'what is in the queue counts for its tenant',
    },
    {
      find: "(held.state = 'QUEUED' AND held.dispatched)",
      replace: "held.state = 'QUEUED'",
      why: 'what waits does not count for its tenant',
    },
    {
      find: "AND build.state = 'QUEUED' AND NOT build.dispatched\n                  AND",
      replace: "AND build.state = 'QUEUED' AND",
      why: 'what was let through takes the place of nobody again',
    },
    {
      find: 'AND build.counted_attempts < build.maximum_attempts',
      replace: '',
      why: 'what is used up takes no room',
    },
    {
      find: "WHERE build.id = chosen.id AND build.state = 'QUEUED'",
      replace: 'WHERE build.id = chosen.id',
      why: 'what is cancelled in the same moment is not let through',
    },
    {
      find: "AND build.state = 'QUEUED' AND NOT build.dispatched\n    RETURNING",
      replace: "AND build.state = 'QUEUED'\n    RETURNING",
      why: 'what was let through is not let through again',
      equivalent: 'one dispatch at a time, and nothing else lets a build through',
    },
    {
      find: "WHERE state = 'QUEUED' AND (SELECT",
      replace: 'WHERE (SELECT',
      why: 'tenants that have nothing queued are passed over',
      equivalent: 'they have no candidates: this saves work only',
    },
    {
      find: "WHERE next.state = 'QUEUED' AND",
      replace: 'WHERE',
      why: 'tenants that have nothing queued are passed over',
      equivalent: 'they have no candidates: this saves work only',
    },
    {
      find: 'ON CONFLICT (tenant_id) DO UPDATE SET turn = excluded.turn',
      replace: 'ON CONFLICT DO NOTHING',
      why: 'who was served waits for the others',
    },
    {
      find: 'AND (SELECT size FROM room) > 0',
      replace: '',
      why: 'without room, no tenant is looked at',
      equivalent: 'the room is the limit of what is chosen: this saves work only',
    },
  ]),

  ...mutantsOf(requeueing, [
    {
      find: 'FOR UPDATE SKIP LOCKED',
      replace: '',
      why: 'a sweep waits for nobody, and two do not send the same',
    },
    { find: 'SKIP LOCKED', replace: '', why: 'a sweep waits for nobody' },
    {
      find: 'counted_attempts < maximum_attempts',
      replace: 'true',
      why: 'what is never tried again is not sent again',
    },
  ]),
  ...mutantsOf(
    ['build-requeue-queued', 'deployment-requeue-queued'],
    [
      {
        find: "state = 'QUEUED' AND",
        replace: '',
        why: 'what runs or has ended is not sent again',
      },
      {
        find: "AND enqueued_at < now() - $1::float8 * interval '1 second'",
        replace: 'AND $1::float8 IS NOT NULL',
        why: 'a message has its time',
      },
    ],
  ),
  ...mutantsOf('build-requeue-queued', [
    { find: 'dispatched AND', replace: '', why: 'what was not dispatched is not sent' },
  ]),
  ...mutantsOf(
    ['build-requeue-expired', 'deployment-requeue-expired'],
    [
      {
        find: "state = 'RUNNING' AND",
        replace: '',
        why: 'only what runs has a lease',
        equivalent: 'a CHECK gives leases to what runs only: this lets an index be used',
      },
      { find: 'AND lease_until < now()', replace: '', why: 'what runs is not sent again' },
      {
        find: 'enqueued_at < lease_until OR ',
        replace: '',
        why: 'what a dead worker had is sent again at once',
      },
      {
        find: "OR enqueued_at < now() - $1::float8 * interval '1 second'",
        replace: 'OR $1::float8 IS NULL',
        why: 'and then again, when that message was lost',
      },
    ],
  ),
  ...mutantsOf(requeueing, [
    {
      find: 'WHERE NOT EXISTS (SELECT FROM cygni.outbox AS waiting',
      replace: 'WHERE true OR EXISTS (SELECT FROM cygni.outbox AS waiting',
      why: 'messages do not pile up',
    },
    {
      find: 'waiting.work_id = marked.id',
      replace: 'true',
      why: 'each work has its own message',
    },
  ]),
  ...mutantsOf(
    ['build-requeue-queued', 'build-requeue-expired'],
    [
      {
        find: 'AND waiting.ready',
        replace: '',
        why: 'what nobody delivers does not stand in the way of a message',
      },
    ],
  ),

  ...mutantsOf(
    ['build-find-over', 'deployment-find-over'],
    [
      { find: isFree, replace: 'true', why: 'what runs does not fill the limit of the sweep' },
      { find: isOver, replace: '', why: 'what may be tried does not fill the limit of the sweep' },
      {
        find: "AND state IN ('QUEUED', 'RUNNING')",
        replace: '',
        why: 'what has ended is not looked for',
        equivalent: 'the condition before says it already: this lets an index be used',
      },
    ],
  ),
  ...mutantsOf(
    ['build-end-over', 'deployment-end-over'],
    [
      {
        find: isFree,
        replace: 'true',
        why: 'who lives on in the same moment keeps the work',
      },
      { find: isOver, replace: '', why: 'what may be tried is not ended' },
      {
        find: 'WHERE id = $1 AND',
        replace: 'WHERE $1::uuid IS NOT NULL AND',
        why: 'what was found is ended, each under its own lock',
      },
      {
        find: "AND state IN ('QUEUED', 'RUNNING')",
        replace: '',
        why: 'what has ended does not end again',
        equivalent: 'the condition before says it already: this lets an index be used',
      },
      {
        find: "CASE WHEN cancel_requested THEN 'CANCELLED' ELSE 'FAILED' END",
        replace: "'FAILED'",
        why: 'what was cancelled ends as that',
      },
    ],
  ),
  ...mutantsOf('idempotency-forget', [
    { find: 'WHERE expires_at <= now()', replace: '', why: 'a key is kept for its time' },
    { find: 'FOR UPDATE SKIP LOCKED', replace: '', why: 'a sweep waits for nobody' },
    { find: 'SKIP LOCKED', replace: '', why: 'a sweep waits for nobody' },
    {
      find: 'known.tenant_id = expired.tenant_id AND',
      replace: '',
      why: "no other tenant's key is forgotten",
    },
    { find: 'AND known.route = expired.route', replace: '', why: 'a key is of a route' },
    { find: 'AND known.key = expired.key', replace: '', why: 'no other key is forgotten' },
  ]),
];
