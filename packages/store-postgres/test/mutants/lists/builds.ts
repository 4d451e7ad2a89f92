import { type Mutant, mutantsOf } from '../mutant.ts';

export const builds: readonly Mutant[] = [
  ...mutantsOf(
    ['build-accept', 'build-accept-waiting'],
    [
      {
        find: 'FOR NO KEY UPDATE OF account',
        replace: '-- ',
        why: 'who is accepted beside another sees what that one has left of the money',
      },
    ],
  ),
  ...mutantsOf('operations/accept-statement.ts', [
    {
      find: 'WHERE available IS NULL OR available >= total',
      replace: '',
      why: 'nothing is accepted that the money does not cover',
    },
    {
      find: 'available IS NULL OR ',
      replace: '',
      why: 'without a cap, everything is covered',
    },
    {
      find: 'END - spent - reserved AS available',
      replace: 'END - reserved AS available',
      why: 'what was spent is gone',
    },
    {
      find: 'END - spent - reserved AS available',
      replace: 'END - spent AS available',
      why: 'what is reserved is not there for others',
    },
    {
      find: 'CASE WHEN own_cap THEN account.cap ELSE asked.cap END -',
      replace: 'asked.cap -',
      why: "the tenant's own cap takes the place of the policy's",
    },
    {
      find: 'CASE WHEN own_cap THEN account.cap ELSE asked.cap END -',
      replace: 'account.cap -',
      why: "the policy's cap is the one of today, not that of the account's first day",
    },
    {
      find: 'ORDER BY position) AS total',
      replace: 'ORDER BY position ROWS CURRENT ROW) AS total',
      why: 'those that come together share the money',
      equivalent:
        'the database refuses them together, by its constraint, and then each is asked alone',
    },
    {
      find: 'PARTITION BY tenant_id, currency, period_start ORDER BY position',
      replace: 'ORDER BY position',
      why: 'what others ask for takes nothing of this money',
      equivalent:
        'too much is refused at worst, and who was refused in company is asked again alone',
    },
    {
      find: 'CASE WHEN own_cap THEN account.cap ELSE asked.cap END AS cap',
      replace: 'asked.cap AS cap',
      why: "the tenant's own cap stays",
    },
    {
      find: ', ceiling = account.cap',
      replace: '',
      why: 'a cap that was raised is room for more',
    },
    {
      find: 'target.tenant_id = sum.tenant_id AND',
      replace: '',
      why: "no other tenant's money is reserved",
    },
    {
      find: 'AND target.currency = sum.currency',
      replace: '',
      why: 'no money of another currency is reserved',
    },
    {
      find: 'AND target.period_start = sum.period_start',
      replace: '',
      why: 'no money of another period is reserved',
    },
    {
      find: 'SET reserved = account.reserved + sum',
      replace: 'SET reserved = target.reserved + sum',
      why: 'money that is given back while an acceptance waits for it is there',
    },
    {
      find: 'WHERE source.tenant_id = candidate.tenant_id AND source.id = candidate.source_id',
      replace: 'WHERE source.id = candidate.source_id',
      why: "nobody builds another tenant's source",
    },
    {
      find: 'AND source.id = candidate.source_id',
      replace: '',
      why: 'a source that is missing is reported as such',
    },
    {
      find: 'FROM covered WHERE key IS NOT NULL',
      replace: 'FROM covered',
      why: 'a key is not needed',
    },
    {
      find: `ON CONFLICT (tenant_id, route, key) DO UPDATE
         SET fingerprint = excluded.fingerprint, resource_id = excluded.resource_id, expires_at = excluded.expires_at
       WHERE known.expires_at <= now()`,
      replace: '',
      why: 'a key that is known is no fault',
    },
    {
      find: 'WHERE known.expires_at <= now()',
      replace: '',
      why: 'a key that is in use stays with its first request',
    },
    {
      find: 'WHERE known.expires_at <= now()',
      replace: 'WHERE false',
      why: 'a key that has expired can be used again, swept or not',
    },
    {
      find: 'WHERE key IS NULL OR id IN (SELECT resource_id FROM key)',
      replace: '',
      why: 'the second request with a key makes nothing',
    },
  ]),
  ...mutantsOf('build-accept', [
    {
      find: 'SKIP LOCKED',
      replace: '',
      why: 'nobody waits for an account of somebody else',
    },
  ]),

  ...mutantsOf('build-ended-alike', [
    {
      find: 'AND attempt = $2',
      replace: 'AND $2::integer IS NOT NULL',
      why: 'only the attempt that ended the build is told that it did',
    },
    {
      find: 'AND state = $3',
      replace: 'AND $3::text IS NOT NULL',
      why: 'who would have ended it in another way is told that it did not',
    },
    {
      find: 'image::text IS NOT DISTINCT FROM $4',
      replace: '$4::text IS NOT DISTINCT FROM $4',
      why: 'who would have ended it with another image is told that it did not',
    },
    {
      find: 'failure::text IS NOT DISTINCT FROM $5',
      replace: '$5::text IS NOT DISTINCT FROM $5',
      why: 'who would have ended it for another reason is told that it did not',
    },
  ]),
  ...mutantsOf('operations/claim-statement.ts', [
    {
      find: 'FOR NO KEY UPDATE',
      replace: '-- ',
      why: 'who waited for a build sees what it has become',
    },
    {
      find: 'id = ANY ($1::uuid[])\n         AND',
      replace: '$1::uuid[] IS NOT NULL AND',
      why: 'only what is asked for is claimed',
    },
    {
      find: 'run = coalesce(run, attempt + 1)',
      replace: 'run = attempt + 1',
      why: 'what was begun goes on under its name',
    },
    {
      find: 'CASE WHEN run IS NULL THEN now() ELSE run_began_at END',
      replace: 'now()',
      why: 'what goes on grows older',
    },
    ...['ORDER BY position LIMIT 1', 'ORDER BY position + line_count DESC LIMIT 1'].flatMap(
      (one) => [
        {
          find: `WHERE build_id = build.id AND attempt >= build.run ${one}`,
          replace: `WHERE build_id = build.id ${one}`,
          why: 'the log of an earlier run is not that of this one',
        },
        {
          find: `WHERE build_id = build.id AND attempt >= build.run ${one}`,
          replace: `WHERE attempt >= build.run ${one}`,
          why: 'the log of another build is not that of this one',
        },
      ],
    ),
    {
      find: 'ORDER BY position LIMIT 1',
      replace: 'ORDER BY position DESC LIMIT 1',
      why: 'a log begins with its first line',
    },
    {
      find: 'ORDER BY position + line_count DESC LIMIT 1',
      replace: 'ORDER BY position LIMIT 1',
      why: 'a log is stored up to its newest line',
    },
    {
      find: "(state = 'QUEUED' AND dispatched)",
      replace: "state = 'QUEUED'",
      why: 'dispatch is the only door',
    },
    {
      find: "((state = 'QUEUED' AND dispatched) OR (state = 'RUNNING' AND lease_until < now()))",
      replace: 'true',
      why: 'what has ended does not run again',
    },
    {
      find: "OR (state = 'RUNNING' AND lease_until < now())",
      replace: '',
      why: 'what a dead worker had is taken up',
    },
    {
      find: 'AND lease_until < now()',
      replace: '',
      why: 'a live lease is not taken away',
    },
    {
      find: 'AND counted_attempts < maximum_attempts',
      replace: '',
      why: 'no build is tried more often than it was paid for',
    },
  ]),
  ...mutantsOf(
    ['build-heartbeat', 'build-release', 'log-append'],
    [
      {
        find: 'AND attempt = $2',
        replace: 'AND $2::integer IS NOT NULL',
        why: 'the fence: an outdated holder writes nothing',
      },
      {
        find: "AND state = 'RUNNING'",
        replace: '',
        why: 'who gave the build back, or ended it, writes nothing more',
      },
    ],
  ),
  ...mutantsOf('operations/finish-statement.ts', [
    {
      find: 'build.attempt = asked.attempt AND',
      replace: '',
      why: 'the fence: an outdated holder writes nothing',
    },
    {
      find: "AND build.state = 'RUNNING'",
      replace: '',
      why: 'who gave the build back, or ended it, writes nothing more',
    },
    {
      find: 'least(mine.charge, estimate)',
      replace: 'mine.charge',
      why: 'no more is charged than was held',
    },
    {
      find: 'FOR NO KEY UPDATE OF build, account',
      replace: '-- ',
      why: 'who waited for a build sees what it has become',
    },
    {
      find: 'FOR NO KEY UPDATE OF build, account',
      replace: 'FOR NO KEY UPDATE OF build',
      why: 'nobody waits for an account of somebody else',
    },
  ]),
  ...mutantsOf('build-finish', [
    { find: 'SKIP LOCKED', replace: '', why: 'nobody waits for an account of somebody else' },
  ]),
  ...mutantsOf('operations/claim-statement.ts', [
    {
      find: 'build.traceparent AS',
      replace: 'NULL::text AS',
      why: 'who works on a build knows the request that asked for it',
    },
  ]),
  ...mutantsOf('build-claim', [
    { find: 'SKIP LOCKED', replace: '', why: 'nobody waits for a build of somebody else' },
  ]),
  ...mutantsOf('build-find-orphaned-runs', [
    { find: 'NOT EXISTS', replace: 'EXISTS', why: 'what is gone on with is no orphan' },
    { find: 'id = asked.build_id AND', replace: '', why: 'another build keeps no run alive' },
    {
      find: 'AND run = asked.attempt',
      replace: '',
      why: 'another run of the build keeps none alive',
    },
    {
      find: "AND state IN ('QUEUED', 'RUNNING')",
      replace: '',
      why: 'nothing runs on after its build has ended',
    },
    { find: "'QUEUED', ", replace: '', why: 'a run that was given back goes on' },
    { find: ", 'RUNNING'", replace: '', why: 'a run that is worked on goes on' },
  ]),
  ...mutantsOf('build-release', [
    {
      find: 'run = CASE WHEN $3 THEN NULL ELSE run END',
      replace: 'run = run',
      why: 'an attempt that counted is not gone on with',
    },
    {
      find: 'run = CASE WHEN $3 THEN NULL ELSE run END',
      replace: 'run = NULL',
      why: 'what was handed over goes on',
    },
    {
      find: "FROM build WHERE state = 'QUEUED'",
      replace: 'FROM build',
      why: 'what ends is not told to wait again',
    },
    {
      find: "CASE WHEN cancel_requested THEN 'CANCELLED' ELSE 'QUEUED' END",
      replace: "'QUEUED'",
      why: 'what is to be cancelled ends when it is given back',
    },
    {
      find: 'CASE WHEN $3::boolean THEN 0 ELSE 1 END',
      replace: 'CASE WHEN $3::boolean THEN 0 ELSE 0 END',
      why: 'an attempt that does not count is given back',
    },
    {
      find: 'CASE WHEN $3::boolean THEN 0 ELSE 1 END',
      replace: 'CASE WHEN $3::boolean THEN 1 ELSE 1 END',
      why: 'an attempt that counts is used up',
    },
    {
      find: ', dispatched = false',
      replace: '',
      why: 'what is given back waits for its turn',
    },
    {
      find: "FROM build WHERE state = 'CANCELLED'",
      replace: 'FROM build',
      why: 'the hold stays open until the end',
    },
  ]),
  ...mutantsOf('build-cancel', [
    {
      find: 'WHERE tenant_id = $1 AND id = $2',
      replace: 'WHERE $1::text IS NOT NULL AND id = $2',
      why: "nobody cancels another tenant's build",
    },
    {
      find: "AND state IN ('QUEUED', 'RUNNING')",
      replace: '',
      why: 'what has ended stays as it ended',
    },
    {
      find: 'AND NOT cancel_requested',
      replace: '',
      why: 'a cancellation is recorded once',
    },
    {
      find: "CASE state WHEN 'QUEUED' THEN 'CANCELLED' ELSE state END",
      replace: "'CANCELLED'",
      why: 'a running build is ended by who runs it',
    },
    {
      find: "FROM build WHERE state = 'RUNNING'",
      replace: 'FROM build',
      why: 'only a running build is asked to end',
    },
    {
      find: "FROM build WHERE state = 'CANCELLED'",
      replace: 'FROM build',
      why: 'the hold stays open until the end',
    },
  ]),
  ...mutantsOf('log-append', [
    {
      find: 'WHERE $4 > 0',
      replace: '',
      why: 'an append of nothing is harmless',
    },
    {
      find: 'ON CONFLICT (build_id, attempt, position) DO NOTHING',
      replace: '',
      why: 'a position is taken once',
    },
  ]),
];
