import { type Mutant, mutantsOf } from '../mutant.ts';

export const archives: readonly Mutant[] = [
  ...mutantsOf('log-archive-begin', [
    {
      find: 'IS NOT NULL\n       AND',
      replace: 'IS DISTINCT FROM now()\n       AND',
      why: 'the log of what runs is not whole yet',
    },
    {
      find: "coalesce(lease_until, 'infinity') < now()",
      replace: 'true',
      why: 'one at a time archives a log',
    },
    {
      find: "coalesce(lease_until, 'infinity') < now()",
      replace: 'false',
      why: 'what a dead archiver began is begun anew',
    },
    {
      find: 'ON CONFLICT (tenant_id, build_id) DO UPDATE SET key = excluded.key, lease_until = excluded.lease_until\n     WHERE archive.lease_until < now()',
      replace: '',
      why: 'two that begin at once do not fail',
    },
    {
      find: 'WHERE archive.lease_until < now()',
      replace: '',
      why: 'of two that begin at once, one does',
    },
    {
      find: 'WHERE old_key IS NOT NULL AND EXISTS (SELECT FROM begun)\n    ON CONFLICT DO NOTHING',
      replace: 'WHERE old_key IS NOT NULL AND EXISTS (SELECT FROM begun)',
      why: 'a key is garbage once',
      equivalent: 'keys are made anew each time; none is given up twice',
    },
    {
      find: 'WHERE old_key IS NOT NULL AND',
      replace: 'WHERE',
      why: 'the first archive of a log leaves nothing behind',
    },
    {
      find: 'AND EXISTS (SELECT FROM begun)',
      replace: '',
      why: 'what another writes is no garbage',
    },
  ]),
  ...mutantsOf('log-archive-complete', [
    {
      find: 'SET lease_until = NULL\n     WHERE tenant_id = $1 AND',
      replace: 'SET lease_until = NULL\n     WHERE',
      why: "no other tenant's log is completed",
      equivalent: 'the id of a build is of one tenant, and so is the key',
    },
    {
      find: 'AND key = $3 AND lease_until IS NOT NULL',
      replace: 'AND lease_until IS NOT NULL',
      why: 'the fence: what another has begun anew is not completed',
    },
    {
      find: 'AND lease_until IS NOT NULL',
      replace: '',
      why: 'an archive is completed once',
    },
    {
      find: 'WHERE chunk.tenant_id = kept.tenant_id AND chunk.build_id = kept.build_id',
      replace: '',
      why: 'no other log is dropped',
    },
    {
      find: 'NOT EXISTS (SELECT FROM kept)\n     AND',
      replace: '',
      why: 'what was completed is no garbage',
      equivalent: 'the row is there under this key, as the condition after it sees',
    },
    {
      find: 'AND NOT EXISTS (SELECT FROM cygni.log_archives WHERE tenant_id = $1 AND build_id = $2 AND key = $3)',
      replace: '',
      why: 'what was completed before is no garbage',
    },
    { find: 'ON CONFLICT DO NOTHING', replace: '', why: 'a key is garbage once' },
  ]),
  ...mutantsOf('log-archive-find', [
    {
      find: 'WHERE tenant_id = $1 AND',
      replace: 'WHERE $1::text IS NOT NULL AND',
      why: 'a tenant sees only its own',
    },
    {
      find: 'AND lease_until IS NULL',
      replace: '',
      why: 'what is being written is not read',
    },
  ]),
  ...mutantsOf('operations/retention.ts', [
    {
      find: 'AND archive.lease_until >= now()',
      replace: '',
      why: 'a build whose log was archived can go',
    },
  ]),
  ...mutantsOf('prune-builds', [
    {
      find: 'archive.build_id = gone.id\n    ON CONFLICT DO NOTHING',
      replace: 'archive.build_id = gone.id',
      why: 'a key is garbage once',
      equivalent: 'a key is of one log, and given up when that goes',
    },
    {
      find: 'source.id = gone.source_id\n    ON CONFLICT DO NOTHING',
      replace: 'source.id = gone.source_id',
      why: 'a source that is to be looked at is so once',
    },
  ]),
];
