import { type Mutant, mutantsOf } from '../mutant.ts';

const earlier = `AND NOT EXISTS (SELECT FROM cygni.deployments AS earlier
                        WHERE earlier.tenant_id = mine.tenant_id AND earlier.service = mine.service
                          AND earlier.position < mine.position AND earlier.state IN ('QUEUED', 'RUNNING'))`;

export const deployments: readonly Mutant[] = [
  ...mutantsOf('idempotency-take', [
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
  ]),
  ...mutantsOf('service-next-revision', [
    {
      find: `ON CONFLICT (tenant_id, name) DO UPDATE
      SET last_revision = service.last_revision + 1, last_position = service.last_position + 1`,
      replace: '',
      why: 'a service has many revisions',
    },
  ]),
  ...mutantsOf('service-next-position', [
    {
      find: 'WHERE tenant_id = $1 AND',
      replace: 'WHERE $1::text IS NOT NULL AND',
      why: "nobody rolls another tenant's service back",
    },
  ]),
  ...mutantsOf('revision-exists', [
    {
      find: 'WHERE tenant_id = $1 AND service = $2',
      replace: 'WHERE $1::text IS NOT NULL AND service = $2',
      why: "nobody rolls back to another tenant's revision",
    },
    {
      find: 'AND service = $2',
      replace: 'AND $2::text IS NOT NULL',
      why: "nobody rolls back to another service's revision",
    },
    {
      find: 'AND number = $3',
      replace: 'AND $3::integer IS NOT NULL',
      why: 'a revision that is missing is reported as such',
    },
  ]),
  ...mutantsOf('deployment-supersede', [
    {
      find: 'WHERE tenant_id = $1 AND',
      replace: 'WHERE $1::text IS NOT NULL AND',
      why: "no other tenant's deployment ends",
    },
    {
      find: 'AND service = $2',
      replace: 'AND $2::text IS NOT NULL',
      why: "no other service's deployment ends",
    },
    { find: 'AND id <> $3', replace: '', why: 'the newest stays' },
    { find: "AND state = 'QUEUED'", replace: '', why: 'what runs, runs on' },
  ]),

  ...mutantsOf('deployment-ended-alike', [
    {
      find: 'AND attempt = $2',
      replace: 'AND $2::integer IS NOT NULL',
      why: 'only the attempt that ended the deployment is told that it did',
    },
    {
      find: 'AND state = $3',
      replace: 'AND $3::text IS NOT NULL',
      why: 'who would have ended it in another way is told that it did not',
    },
    {
      find: 'evidence::text IS NOT DISTINCT FROM $4',
      replace: '$4::text IS NOT DISTINCT FROM $4',
      why: 'who would have ended it with other evidence is told that it did not',
    },
  ]),
  ...mutantsOf('deployment-claim', [
    {
      find: 'deployment.traceparent AS',
      replace: 'NULL::text AS',
      why: 'who works on a deployment knows the request that asked for it',
    },
    {
      find: "AND (state = 'QUEUED' OR (state = 'RUNNING' AND lease_until < now()))",
      replace: '',
      why: 'what has ended does not run again',
    },
    {
      find: "OR (state = 'RUNNING' AND lease_until < now())",
      replace: '',
      why: 'what a dead worker had is taken up',
    },
    { find: 'AND lease_until < now()', replace: '', why: 'a live lease is not taken away' },
    {
      find: 'AND counted_attempts < maximum_attempts',
      replace: '',
      why: 'no deployment is tried for ever',
    },
    { find: earlier, replace: '', why: 'the deployments of a service come one after another' },
    {
      find: 'WHERE earlier.tenant_id = mine.tenant_id AND',
      replace: 'WHERE',
      why: 'no tenant waits for another',
    },
    {
      find: 'AND earlier.service = mine.service',
      replace: '',
      why: 'no service waits for another',
    },
    {
      find: 'AND earlier.position < mine.position',
      replace: 'AND earlier.id <> mine.id',
      why: 'the earlier one goes on beside a later one',
    },
    {
      find: "AND earlier.state IN ('QUEUED', 'RUNNING')",
      replace: '',
      why: 'nobody waits for what has ended',
    },
    {
      find: "earlier.state IN ('QUEUED', 'RUNNING')",
      replace: "earlier.state = 'RUNNING'",
      why: 'one that was given back is taken up before a later one',
    },
  ]),
  ...mutantsOf(
    ['deployment-heartbeat', 'deployment-advance', 'deployment-finish', 'deployment-release'],
    [
      {
        find: 'AND attempt = $2',
        replace: 'AND $2::integer IS NOT NULL',
        why: 'the fence: an outdated holder writes nothing',
      },
      {
        find: "AND state = 'RUNNING'",
        replace: '',
        why: 'who gave the deployment back, or ended it, writes nothing more',
      },
    ],
  ),
  ...mutantsOf('deployment-lock-service', [
    {
      find: 'FOR NO KEY UPDATE OF service',
      replace: '',
      why: 'who ends a deployment wakes the one that is being accepted',
    },
  ]),
  ...mutantsOf('deployment-finish', [
    {
      find: 'least($5::bigint, estimate)',
      replace: '$5::bigint',
      why: 'no more is charged than was held',
    },
  ]),
  ...mutantsOf('deployment-release', [
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
  ]),
  ...mutantsOf('service-make-stable', [
    {
      find: 'now())\n     WHERE tenant_id = $1 AND service = $2',
      replace: 'now())\n     WHERE service = $2',
      why: "no other tenant's revision becomes healthy",
    },
    {
      find: 'WHERE service.tenant_id = $1 AND',
      replace: 'WHERE',
      why: "no other tenant's revision counts as replaced",
      equivalent:
        'the revision is asked for by its tenant too; at worst the time of one is too late',
    },
    {
      find: 'AND revision.tenant_id = $1 AND',
      replace: 'AND',
      why: "no other tenant's revision counts as replaced",
      equivalent: 'at worst a build is kept too long',
    },
    {
      find: 'FROM cygni.revisions\n                WHERE tenant_id = $1 AND',
      replace: 'FROM cygni.revisions\n                WHERE',
      why: "no other tenant's revision is the previous one",
    },
    {
      find: 'updated_at = now()\n     WHERE tenant_id = $1 AND',
      replace: 'updated_at = now()\n     WHERE',
      why: "no other tenant's service moves",
    },
    {
      find: 'WHEN stable_revision = $3 THEN previous_revision',
      replace: '',
      why: 'the same revision again leaves the previous one as it was',
    },
    {
      find: 'WHEN $5::boolean THEN',
      replace: 'WHEN false AND $5::boolean THEN',
      why: 'nobody wants the revision back that was rolled back',
    },
    {
      find: 'AND number < $3 AND healthy_at IS NOT NULL',
      replace: 'AND healthy_at IS NOT NULL',
      why: 'before a revision comes an earlier one',
    },
    {
      find: 'AND number < $3 AND healthy_at IS NOT NULL',
      replace: 'AND number < $3',
      why: 'no revision is a target that was never healthy',
    },
    {
      find: 'url = coalesce($4, url)',
      replace: 'url = $4',
      why: 'an address that is not told stays known',
    },
  ]),
  ...mutantsOf('service-make-stable', [
    {
      find: 'FROM cygni.services WHERE tenant_id = $1 AND name = $2\n  ),',
      replace: 'FROM cygni.services WHERE name = $2\n  ),',
      why: 'a change is told once, whatever others have',
    },
    {
      find: 'WHERE before.stable_revision IS DISTINCT FROM service.stable_revision',
      replace: '',
      why: 'what stays the same is not told',
    },
    {
      find: 'WHERE before.url IS DISTINCT FROM service.url',
      replace: '',
      why: 'what stays the same is not told',
    },
  ]),
  ...mutantsOf('service-keep-url', [
    {
      find: 'SELECT url FROM cygni.services WHERE tenant_id = $1 AND',
      replace: 'SELECT url FROM cygni.services WHERE',
      why: 'a change is told once, whatever others have',
    },
    {
      find: 'now() WHERE tenant_id = $1 AND',
      replace: 'now() WHERE',
      why: "no other tenant's service moves",
    },
    {
      find: 'WHERE before.url IS DISTINCT FROM service.url',
      replace: '',
      why: 'what stays the same is not told',
    },
  ]),
  ...mutantsOf('deployment-enqueue-next', [
    {
      find: 'WHERE tenant_id = $1 AND',
      replace: 'WHERE $1::text IS NOT NULL AND',
      why: "the service's own deployment is woken",
    },
    {
      find: 'AND service = $2',
      replace: 'AND $2::text IS NOT NULL',
      why: "the service's own deployment is woken",
    },
    { find: "AND state = 'QUEUED'", replace: '', why: 'what waits is woken' },
  ]),
  ...mutantsOf('service-list-settled', [
    {
      find: `AND NOT EXISTS (SELECT FROM cygni.deployments AS deployment
                       WHERE deployment.tenant_id = service.tenant_id AND deployment.service = service.name
                         AND deployment.state = 'RUNNING' OFFSET 0)`,
      replace: '',
      why: 'a service with a running deployment is not settled',
    },
    {
      find: "AND deployment.state = 'RUNNING'",
      replace: '',
      why: 'a service is settled again when its deployment has ended',
    },
    {
      find: 'deployment.tenant_id = service.tenant_id AND',
      replace: '',
      why: "another tenant's deployment does not count",
    },
    {
      find: 'AND deployment.service = service.name',
      replace: '',
      why: "another service's deployment does not count",
    },
  ]),
];
