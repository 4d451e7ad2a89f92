import { type Mutant, mutantsOf } from '../mutant.ts';

export const retention: readonly Mutant[] = [
  ...mutantsOf('prune-lock', [
    {
      find: "pg_try_advisory_xact_lock(hashtextextended('cygni.prune', 0))",
      replace: 'true',
      why: 'one server at a time removes what is old',
    },
  ]),
  /** Shared by what finds builds and what removes them, of which each would make up for the other. */
  ...mutantsOf('operations/retention.ts', [
    {
      find: 'revision.build_id = build.id OR ',
      replace: '',
      why: 'the build of a revision stays',
    },
    {
      find: " OR revision.digest = build.image ->> 'digest'",
      replace: '',
      why: 'the build of an image that is deployed by its digest stays',
    },
    {
      find: 'WHERE revision.tenant_id = build.tenant_id\n       AND',
      replace: 'WHERE',
      why: "another tenant's revision keeps nothing",
    },
    {
      find: 'service.stable_revision, service.previous_revision',
      replace: 'service.previous_revision',
      why: 'what has the traffic stays',
    },
    {
      find: 'service.stable_revision, service.previous_revision',
      replace: 'service.stable_revision',
      why: 'what a rollback goes to stays',
    },
    {
      // biome-ignore lint/suspicious/noTemplateCurlyInString: as it is in the source
      find: "OR greatest(revision.created_at, revision.healthy_at, revision.replaced_at) >= ${before('$1')}",
      replace: '',
      why: 'what had the traffic until lately stays',
    },
    {
      find: "AND deployment.state IN ('QUEUED', 'RUNNING')",
      replace: '',
      why: 'a deployment that has ended keeps nothing',
    },
    {
      find: 'AND deployment.revision = revision.number',
      replace: '',
      why: 'a deployment keeps its own revision',
    },
  ]),
  ...mutantsOf('prune-find-builds', [
    {
      find: "AND build.created_at < now() - $1::float8 * interval '1 second'",
      replace: '',
      why: 'a young build stays',
      equivalent: 'its end, which is asked for too, is no earlier: this lets an index be used',
    },
    {
      find: "AND build.finished_at < now() - $1::float8 * interval '1 second'",
      replace: '',
      why: 'a build stays for its time after its end',
    },
    { find: 'SKIP LOCKED', replace: '', why: 'what is in use is left for later' },
    { find: 'FOR UPDATE SKIP LOCKED', replace: '', why: 'what is in use is left for later' },
  ]),
  ...mutantsOf('prune-deployments', [
    {
      find: "AND deployment.finished_at < now() - $1::float8 * interval '1 second'",
      replace: '',
      why: 'a deployment stays for its time after its end',
    },
    {
      find: 'WHERE hold.work_id = gone.id',
      replace: '',
      why: "no other work's hold goes",
    },
  ]),
  ...mutantsOf('prune-builds', [
    {
      find: 'WHERE hold.work_id = gone.id',
      replace: '',
      why: "no other work's hold goes",
    },
  ]),
  ...mutantsOf('prune-find-sources', [
    {
      find: "WHERE due.created_at < now() - $1::float8 * interval '1 second'",
      replace: 'WHERE $1::float8 IS NOT NULL',
      why: 'a young source stays',
    },
    { find: 'SKIP LOCKED', replace: '', why: 'what is in use is left for later' },
    {
      find: 'FOR UPDATE OF source SKIP LOCKED',
      replace: '',
      why: 'what is in use is left for later',
    },
  ]),
  ...mutantsOf('prune-sources', [
    {
      find: `AND NOT EXISTS (SELECT FROM cygni.builds AS build
                        WHERE build.tenant_id = source.tenant_id AND build.source_id = source.id)`,
      replace: '',
      why: 'the source of a build stays',
    },
    {
      find: `AND NOT EXISTS (SELECT FROM gone WHERE gone.tenant_id = looked.tenant_id AND gone.id = looked.id)`,
      replace: '',
      why: 'what is used is looked at again when its build goes',
      equivalent: 'the note goes with its source anyway',
    },
    { find: 'ON CONFLICT DO NOTHING', replace: '', why: 'two sources may share an artifact' },
  ]),
  ...mutantsOf('prune-events', [
    {
      find: "AND event.created_at < now() - $1::float8 * interval '1 second'",
      replace: 'AND $1::float8 IS NOT NULL',
      why: 'a young event stays',
    },
  ]),
  ...mutantsOf('garbage-take', [
    {
      find: 'SKIP LOCKED',
      replace: '',
      why: 'who hangs while deleting holds no other up',
    },
    {
      find: 'FOR UPDATE SKIP LOCKED',
      replace: '',
      why: 'two do not delete the same',
    },
  ]),
];
