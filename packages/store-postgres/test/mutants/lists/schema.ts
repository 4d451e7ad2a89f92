import { type Mutant, mutantsOf } from '../mutant.ts';

/** Of builds and of deployments, after the line that tells them apart. */
const checksOfWork = [
  {
    check: 'counted_attempts BETWEEN 0 AND least(attempt, maximum_attempts)',
    why: 'no work is tried too often',
  },
  { check: 'cost BETWEEN 0 AND estimate', why: 'no work costs more than was held' },
  {
    check: "(state = 'RUNNING') = (lease_until IS NOT NULL)",
    why: 'work has a lease while it runs',
  },
  { check: "(state IN ('QUEUED', 'RUNNING')) = (finished_at IS NULL)", why: 'the end has a time' },
  { check: "(state IN ('QUEUED', 'RUNNING')) = (cost IS NULL)", why: 'the end has a cost' },
];

function workMutants(lineBefore: string): readonly Mutant[] {
  const block = (dropped?: string) =>
    [
      lineBefore,
      ...checksOfWork.map(({ check }) => `  CHECK (${check === dropped ? 'true' : check})`),
    ].join(',\n');
  return mutantsOf(
    'migrations/0001_truth.ts',
    checksOfWork.map(({ check, why }) => ({ find: block(), replace: block(check), why })),
  );
}

/** What the database itself refuses, whoever asks. */
export const schema: readonly Mutant[] = [
  ...mutantsOf('migrations/0001_truth.ts', [
    {
      find: ',\n  FOREIGN KEY (tenant_id, source_id) REFERENCES cygni.sources (tenant_id, id)',
      replace: '',
      why: "no build is of another tenant's source",
    },
    {
      find: ',\n  FOREIGN KEY (tenant_id, build_id) REFERENCES cygni.builds (tenant_id, id) ON DELETE CASCADE',
      replace: '',
      why: "no log is of another tenant's build",
    },
    {
      find: '  UNIQUE (build_id, attempt, position),\n',
      replace: '',
      why: 'a position of a log is taken once',
    },
    {
      find: '  UNIQUE (tenant_id, build_id, last_sequence),\n',
      replace: '',
      why: 'a line of a log has one place',
    },
    {
      find: 'CREATE UNIQUE INDEX deployments_one_at_a_time',
      replace: 'CREATE INDEX deployments_one_at_a_time',
      why: 'a service has one running deployment',
    },
    {
      find: '  UNIQUE (tenant_id, service, position),\n',
      replace: '',
      why: 'the deployments of a service have an order',
    },
    {
      find: "  CHECK ((state = 'SUPERSEDED') = (superseded_by IS NOT NULL))",
      replace: '  CHECK (true)',
      why: 'what is superseded is so by another',
    },
    {
      find: '  CHECK ((cap IS NULL) = (ceiling IS NULL)),\n  CHECK (ceiling >= cap),\n',
      replace: '  CHECK ((cap IS NULL) = (ceiling IS NULL)),\n',
      why: 'the ceiling is not below the cap',
    },
    {
      find: '  CHECK ((cap IS NULL) = (ceiling IS NULL)),\n',
      replace: '',
      why: 'a cap has a ceiling',
    },
    {
      find: 'CHECK (spent >= 0 AND reserved >= 0 AND spent + reserved <= ceiling)',
      replace: 'CHECK (spent >= 0 AND reserved >= 0)',
      why: 'no account is overspent',
    },
    {
      find: 'CHECK (spent >= 0 AND reserved >= 0 AND spent + reserved <= ceiling)',
      replace: 'CHECK (reserved >= 0 AND spent + reserved <= ceiling)',
      why: 'nothing less than nothing is spent',
    },
    {
      find: 'CHECK (spent >= 0 AND reserved >= 0 AND spent + reserved <= ceiling)',
      replace: 'CHECK (spent >= 0 AND spent + reserved <= ceiling)',
      why: 'nothing less than nothing is reserved',
    },
    {
      find: 'CHECK (spent + reserved <= 9007199254740991)',
      replace: 'CHECK (true)',
      why: 'no account is beyond what JavaScript counts',
    },
    {
      find: '  work_id        uuid PRIMARY KEY,\n',
      replace: '  work_id        uuid NOT NULL,\n',
      why: 'work has one hold',
    },
    {
      find: '  CHECK (charged BETWEEN 0 AND amount),\n',
      replace: '',
      why: 'no more is charged than was held',
    },
    {
      find: "  CHECK ((state = 'settled') = (charged > 0)),\n",
      replace: '',
      why: 'a hold is settled by money, and only by money',
    },
    {
      find: "  CHECK ((state = 'open') = (closed_at IS NULL))",
      replace: '  CHECK (true)',
      why: 'a hold that is closed has its time',
    },
    {
      find: '  UNIQUE (work_id, kind),\n',
      replace: '',
      why: 'money is held, settled and released once',
    },
    {
      find: 'BEFORE UPDATE OR DELETE OR TRUNCATE ON cygni.ledger',
      replace: 'BEFORE DELETE OR TRUNCATE ON cygni.ledger',
      why: 'nobody changes the ledger',
    },
    {
      find: 'BEFORE UPDATE OR DELETE OR TRUNCATE ON cygni.ledger',
      replace: 'BEFORE UPDATE OR TRUNCATE ON cygni.ledger',
      why: 'nobody takes anything out of the ledger',
    },
    {
      find: 'BEFORE UPDATE OR DELETE OR TRUNCATE ON cygni.ledger',
      replace: 'BEFORE UPDATE OR DELETE ON cygni.ledger',
      why: 'nobody empties the ledger',
    },
  ]),
  ...workMutants('REFERENCES cygni.sources (tenant_id, id)'),
  ...workMutants('REFERENCES cygni.revisions (tenant_id, service, number)'),
  ...mutantsOf('migrations/0004_retention.ts', [
    {
      find: 'BEFORE DELETE ON cygni.builds\n  FOR EACH ROW EXECUTE FUNCTION',
      replace: 'BEFORE TRUNCATE ON cygni.builds\n  EXECUTE FUNCTION',
      why: 'no build goes while its money is held',
    },
    {
      find: 'BEFORE DELETE ON cygni.deployments\n  FOR EACH ROW EXECUTE FUNCTION',
      replace: 'BEFORE TRUNCATE ON cygni.deployments\n  EXECUTE FUNCTION',
      why: 'no deployment goes while its money is held',
    },
    {
      find: "WHERE work_id = OLD.id AND state = 'open'",
      replace: 'WHERE work_id = OLD.id',
      why: 'what was paid for can go',
    },
  ]),
  ...mutantsOf('migrate.ts', [
    {
      // biome-ignore lint/suspicious/noTemplateCurlyInString: as it is in the source
      find: 'SELECT pg_advisory_xact_lock(${lockKey});',
      replace: '',
      why: 'servers that start together migrate once',
    },
    {
      find: 'if (!(await versions(session)).has(migration.version)) {',
      replace: 'if (true) {',
      why: 'who waited for another looks whether anything is left to do',
    },
    {
      find: 'if (done.has(migration.version)) continue;',
      replace: '',
      why: 'a schema that is as it should be is locked by nobody',
    },
  ]),
];
