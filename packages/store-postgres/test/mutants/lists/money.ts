import { type Mutant, mutantsOf } from '../mutant.ts';

/** Those that end work. */
const endings = [
  'build-finish',
  'build-finish-waiting',
  'build-release',
  'build-cancel',
  'build-end-over',
  'deployment-finish',
  'deployment-supersede',
  'deployment-end-over',
];

export const money: readonly Mutant[] = [
  ...mutantsOf(endings, [
    {
      find: "AND hold.state = 'open'",
      replace: '',
      why: 'a hold is closed once, and its money moved once',
    },
    {
      find: 'WHERE hold.work_id = ended.id AND',
      replace: 'WHERE',
      why: "no other work's hold is closed",
    },
  ]),
  ...mutantsOf('operations/ending.ts', [
    {
      find: 'account.tenant_id = total.tenant_id AND',
      replace: '',
      why: "no other tenant's money is moved",
    },
    {
      find: 'AND account.currency = total.currency',
      replace: '',
      why: 'no money of another currency is moved',
    },
    {
      find: 'AND account.period_start = total.period_start',
      replace: '',
      why: 'the money goes back to the period that it came from',
    },
    {
      find: 'FROM closed WHERE charged > 0',
      replace: 'FROM closed',
      why: 'a settlement is of something',
    },
    {
      find: 'WHERE charged < amount OR charged = 0',
      replace: '',
      why: 'a release is of something, unless there was nothing',
    },
    {
      find: "CASE WHEN ended.cost > 0 THEN 'settled' ELSE 'released' END",
      replace: "'settled'",
      why: 'a hold is settled only by money',
    },
  ]),
  ...mutantsOf('account-reserve', [
    {
      find: `AND (CASE WHEN own_cap THEN cap ELSE $4 END IS NULL
           OR CASE WHEN own_cap THEN cap ELSE $4 END - spent - reserved >= $5)`,
      replace: '',
      why: 'nothing is accepted that the money does not cover',
    },
    {
      find: `CASE WHEN own_cap THEN cap ELSE $4 END IS NULL
           OR `,
      replace: '',
      why: 'without a cap, everything is covered',
    },
    {
      find: '- spent - reserved >= $5',
      replace: '- reserved >= $5',
      why: 'what was spent is gone',
    },
    {
      find: '- spent - reserved >= $5',
      replace: '- spent >= $5',
      why: 'what is reserved is not there for others',
    },
    {
      find: 'CASE WHEN own_cap THEN cap ELSE $4 END - spent',
      replace: '$4 - spent',
      why: "the tenant's own cap takes the place of the policy's",
    },
    {
      find: 'CASE WHEN own_cap THEN cap ELSE $4 END - spent',
      replace: 'cap - spent',
      why: "the policy's cap is the one of today, not that of the account's first day",
    },
    {
      find: 'cap = CASE WHEN own_cap THEN cap ELSE $4::bigint END',
      replace: 'cap = $4::bigint',
      why: "the tenant's own cap stays",
    },
    {
      find: 'ceiling = CASE WHEN own_cap THEN ceiling',
      replace: 'ceiling = CASE WHEN false THEN ceiling',
      why: "the ceiling of the tenant's own cap stays",
    },
    {
      find: 'greatest($4, spent + reserved)',
      replace: '$4',
      why: 'a policy that lowers the cap below what is in use does not lock the account',
      equivalent: 'nothing is accepted unless the cap covers what is in use',
    },
    {
      find: 'WHERE tenant_id = $1 AND',
      replace: 'WHERE $1::text IS NOT NULL AND',
      why: "no other tenant's money is reserved",
    },
    {
      find: 'AND currency = $2',
      replace: 'AND $2::text IS NOT NULL',
      why: 'no money of another currency is reserved',
    },
    {
      find: 'AND period_start = $3',
      replace: 'AND $3::timestamptz IS NOT NULL',
      why: 'no money of another period is reserved',
    },
  ]),
  ...mutantsOf(
    ['account-read', 'account-read-locked'],
    [
      {
        find: 'CASE WHEN own_cap THEN cap ELSE $4::bigint END',
        replace: '$4::bigint',
        why: "the tenant's own cap takes the place of the policy's",
      },
      {
        find: 'CASE WHEN own_cap THEN cap ELSE $4::bigint END',
        replace: 'coalesce(cap, $4::bigint)',
        why: "the policy's cap is the one of today",
      },
      {
        find: 'AND currency = $2',
        replace: 'AND $2::text IS NOT NULL',
        why: 'each currency has an account',
      },
      {
        find: 'AND period_start = $3',
        replace: 'AND $3::timestamptz IS NOT NULL',
        why: 'each period has an account',
      },
    ],
  ),
  ...mutantsOf('account-read-locked', [
    {
      find: ' FOR UPDATE',
      replace: '',
      why: 'a budget is set for an account that stays as it was seen until then',
    },
  ]),
  ...mutantsOf('budget-lock', [
    {
      find: 'pg_advisory_xact_lock(hashtextextended(',
      replace: '(hashtextextended(',
      why: 'an account that is opened beside a new budget does not miss it',
    },
  ]),
  ...mutantsOf('account-open', [
    {
      find: 'FROM cygni.budgets WHERE tenant_id = $1 AND currency = $2',
      replace: 'FROM cygni.budgets WHERE currency = $2',
      why: "no tenant gets another's budget",
    },
    {
      find: 'FROM cygni.budgets WHERE tenant_id = $1 AND currency = $2',
      replace: 'FROM cygni.budgets WHERE tenant_id = $1',
      why: 'a budget is of a currency',
    },
    { find: 'ON CONFLICT DO NOTHING', replace: '', why: 'an account is opened once' },
  ]),
  ...mutantsOf('budget-set', [
    {
      find: 'ON CONFLICT (tenant_id, currency) DO UPDATE SET cap = excluded.cap, updated_at = now()',
      replace: 'ON CONFLICT DO NOTHING',
      why: 'a budget can be set again, for later periods too',
    },
  ]),
  ...mutantsOf('budget-cap-accounts', [
    {
      find: 'greatest($4, spent + reserved)',
      replace: '$4',
      why: 'a cap below what is in use is taken',
    },
    {
      find: 'CASE WHEN $4 IS NOT NULL THEN greatest($4, spent + reserved) END',
      replace: 'greatest($4, spent + reserved)',
      why: 'without a cap there is no ceiling',
    },
    {
      find: 'WHERE tenant_id = $1 AND',
      replace: 'WHERE $1::text IS NOT NULL AND',
      why: "no other tenant's cap is changed",
    },
    {
      find: 'AND currency = $2',
      replace: 'AND $2::text IS NOT NULL',
      why: 'a budget is of a currency',
    },
    {
      find: 'AND period_start >= $3',
      replace: 'AND period_start = $3',
      why: 'a later period that is open already gets the cap too',
    },
    {
      find: 'AND period_start >= $3',
      replace: 'AND $3::timestamptz IS NOT NULL',
      why: 'a period that is over keeps its cap',
    },
  ]),
  ...mutantsOf('idempotency-read', [
    {
      find: 'tenant_id = $1 AND',
      replace: '$1::text IS NOT NULL AND',
      why: 'a key is of a tenant',
    },
    { find: 'AND route = $2', replace: 'AND $2::text IS NOT NULL', why: 'a key is of a route' },
    {
      find: 'AND expires_at > now()',
      replace: '',
      why: 'a key that has expired gives nothing again',
    },
  ]),
];
