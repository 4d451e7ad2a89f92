import { type Mutant, mutantsOf } from '../mutant.ts';

/** A tenant sees its own. */
export const reads: readonly Mutant[] = [
  ...mutantsOf(
    [
      'source-read',
      'account-read',
      'account-read-locked',
      'log-read',
      'deployment-read',
      'deployment-list',
      'deployment-list-of-service',
      'service-read',
      'service-list',
      'revision-read',
      'revision-list',
      'event-list',
    ],
    [
      {
        find: 'WHERE tenant_id = $1 AND',
        replace: 'WHERE $1::text IS NOT NULL AND',
        why: 'a tenant sees only its own',
      },
    ],
  ),
  ...mutantsOf(
    ['build-read', 'build-list'],
    [
      {
        find: 'WHERE build.tenant_id = $1 AND',
        replace: 'WHERE $1::text IS NOT NULL AND',
        why: 'a tenant sees only its own',
      },
    ],
  ),
  ...mutantsOf('service-set-url', [
    {
      find: 'WHERE tenant_id = $1 AND',
      replace: 'WHERE $1::text IS NOT NULL AND',
      why: "nobody moves another tenant's service",
    },
  ]),
  ...mutantsOf('deployment-list-of-service', [
    { find: 'AND service = $5', replace: 'AND $5::text IS NOT NULL', why: 'a service has its own' },
  ]),
  ...mutantsOf(
    ['build-list', 'deployment-list', 'deployment-list-of-service', 'event-list', 'service-list'],
    [
      {
        find: ') < ($2::timestamptz',
        replace: ') <= ($2::timestamptz',
        why: 'no page begins with the end of the one before',
      },
    ],
  ),
  ...mutantsOf('source-add', [
    { find: 'ON CONFLICT DO NOTHING', replace: '', why: 'a source can be added again' },
  ]),
];
