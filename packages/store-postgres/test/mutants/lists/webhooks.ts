import { type Mutant, mutantsOf } from '../mutant.ts';

/** Endpoints, and the events that are on their way to them. */
export const webhooks: readonly Mutant[] = [
  ...mutantsOf(
    [
      ...['webhook-read', 'webhook-list', 'webhook-update', 'webhook-rotate', 'webhook-remove'],
      ...['delivery-read', 'delivery-list', 'delivery-redeliver'],
    ],
    [
      {
        find: 'WHERE tenant_id = $1 AND',
        replace: 'WHERE $1::text IS NOT NULL AND',
        why: 'a tenant sees and changes only its own',
      },
    ],
  ),
  ...mutantsOf(
    ['webhook-list', 'delivery-list'],
    [
      {
        find: '(created_at, id) < (',
        replace: '(created_at, id) <= (',
        why: 'no page begins with the end of the one before',
      },
    ],
  ),
  ...mutantsOf('webhook-lock', [
    {
      find: `SELECT pg_advisory_xact_lock(hashtextextended('cygni.webhooks/' || $1, 0))`,
      replace: 'SELECT $1::text',
      why: 'endpoints that are added at once are not over the maximum',
    },
  ]),
  ...mutantsOf('webhook-add', [
    {
      find: 'cygni.webhook_endpoints WHERE tenant_id = $1',
      replace: 'cygni.webhook_endpoints WHERE $1::text IS NOT NULL',
      why: 'the maximum is that of each tenant',
    },
  ]),
  ...mutantsOf(
    ['webhook-update', 'webhook-remove'],
    [
      {
        find: 'version = coalesce($3, version)',
        replace: '$3::integer IS DISTINCT FROM 0',
        why: 'what was changed meanwhile stays',
      },
    ],
  ),
  ...mutantsOf('notifier-announce', [
    {
      find: 'ON CONFLICT (name) DO UPDATE SET seen_at = now()',
      replace: '',
      why: 'a notifier is announced again and again',
    },
  ]),
  ...mutantsOf('delivery-claim', [
    {
      find: `cygni.deliveries WHERE state = 'PENDING' ORDER BY target LIMIT 1)`,
      replace: 'cygni.deliveries ORDER BY target LIMIT 1)',
      why: 'only targets that wait are looked at',
      equivalent: 'the others have nothing that is claimed; it only takes longer',
    },
    {
      find: `next.state = 'PENDING' AND`,
      replace: '',
      why: 'only targets that wait are looked at',
      equivalent: 'the others have nothing that is claimed; it only takes longer',
    },
    {
      find: `WHERE delivery.state = 'PENDING' AND delivery.target`,
      replace: 'WHERE delivery.target',
      why: 'what is over takes nobody’s place',
    },
    {
      find: `delivery.id = due.id AND delivery.state = 'PENDING' AND`,
      replace: 'delivery.id = due.id AND',
      why: 'what ended meanwhile is not begun again',
      equivalent: 'the table refuses a lease of what is over: the claim fails, and is made again',
    },
    {
      find: 'leased.target = target.name AND leased.lease_until > now()',
      replace: 'leased.target = target.name AND false',
      why: 'one endpoint has few at once',
    },
  ]),
  ...mutantsOf('delivery-finish', [
    {
      find: 'AND attempt = $2',
      replace: 'AND $2::integer IS NOT NULL',
      why: 'whoever is late changes nothing',
    },
    {
      find: ' AND lease_until IS NOT NULL',
      replace: '',
      why: 'what was finished, or is repeated by hand, is not finished again',
    },
  ]),
  ...mutantsOf('delivery-redeliver', [
    {
      find: 'AND (lease_until IS NULL OR lease_until < now())',
      replace: '',
      why: 'what is under way is left as it is',
    },
  ]),
  ...mutantsOf('delivery-prune', [
    {
      find: `state <> 'PENDING' AND`,
      replace: '',
      why: 'what is under way stays',
      equivalent: 'only what is over has the time of its end; the condition names the index',
    },
  ]),
  ...mutantsOf('delivery-prune-forgotten', [
    {
      find: `WHERE state = 'PENDING' AND target > 'notifier/'`,
      replace: `WHERE target > 'notifier/'`,
      why: 'only targets that wait are looked at',
      equivalent: 'the others have nothing that waits; it only takes longer',
    },
    {
      find: `next.state = 'PENDING' AND`,
      replace: '',
      why: 'only targets that wait are looked at',
      equivalent: 'the others have nothing that waits; it only takes longer',
    },
    {
      find: `WHERE delivery.state = 'PENDING' AND`,
      replace: 'WHERE',
      why: 'what is over is kept for its own time',
    },
    {
      find: `AND NOT EXISTS (SELECT FROM cygni.notifiers AS notifier WHERE 'notifier/' || notifier.name = target.name)`,
      replace: '',
      why: 'what somebody still announces stays',
    },
  ]),
];
