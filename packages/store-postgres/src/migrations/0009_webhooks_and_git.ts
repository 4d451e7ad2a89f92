import type { Migration } from './index.ts';

/**
 * Events on their way to others. The trigger plans deliveries in the transaction that records an event, whatever
 * version of this package records it: no crash comes between. It works once a statement, however many events that has.
 *
 * `target` names an endpoint or a notifier. A claim makes a delivery due again at the end of its lease, so that
 * `due_at` alone says what may be claimed. Of endpoints' secrets only names are here: see `WebhookSecret`.
 */
export const webhooksAndGit: Migration = {
  version: 9,
  name: 'webhooks_and_git',
  sql: `
CREATE TABLE cygni.webhook_endpoints (
  tenant_id        text COLLATE "C" NOT NULL,
  id               uuid NOT NULL,
  url              text NOT NULL,
  description      text,
  event_types      text[] NOT NULL,
  disabled_reason  text,
  secrets          json NOT NULL,
  version          integer NOT NULL DEFAULT 1,
  created_at       timestamptz(3) NOT NULL DEFAULT now(),
  updated_at       timestamptz(3) NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, id)
);
CREATE INDEX webhook_endpoints_by_age ON cygni.webhook_endpoints (tenant_id, created_at, id);

CREATE TABLE cygni.notifiers (
  name     text COLLATE "C" PRIMARY KEY,
  seen_at  timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE cygni.deliveries (
  tenant_id    text COLLATE "C" NOT NULL,
  id           uuid NOT NULL DEFAULT gen_random_uuid(),
  target       text COLLATE "C" NOT NULL,
  endpoint_id  uuid,
  event_id     uuid NOT NULL,
  event_type   text NOT NULL,
  event        json NOT NULL,
  state        text NOT NULL DEFAULT 'PENDING' CHECK (state IN ('PENDING', 'DELIVERED', 'FAILED')),
  attempt      integer NOT NULL DEFAULT 0,
  tries        integer NOT NULL DEFAULT 0 CHECK (tries BETWEEN 0 AND attempt),
  due_at       timestamptz NOT NULL DEFAULT now(),
  lease_until  timestamptz,
  last_status  integer,
  last_error   text,
  created_at   timestamptz(3) NOT NULL DEFAULT now(),
  finished_at  timestamptz(3),
  PRIMARY KEY (id),
  FOREIGN KEY (tenant_id, endpoint_id) REFERENCES cygni.webhook_endpoints (tenant_id, id) ON DELETE CASCADE,
  CHECK ((state = 'PENDING') = (finished_at IS NULL)),
  CHECK (state = 'PENDING' OR lease_until IS NULL)
) WITH (fillfactor = 80);
CREATE INDEX deliveries_due ON cygni.deliveries (target, due_at) WHERE state = 'PENDING';
CREATE INDEX deliveries_leased ON cygni.deliveries (target) WHERE lease_until IS NOT NULL;
CREATE INDEX deliveries_of_endpoint ON cygni.deliveries (tenant_id, endpoint_id, created_at, id);
CREATE INDEX deliveries_ended ON cygni.deliveries (finished_at) WHERE state <> 'PENDING';

CREATE FUNCTION cygni.plan_deliveries() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO cygni.deliveries (tenant_id, target, endpoint_id, event_id, event_type, event)
  SELECT added.tenant_id, target.name, target.endpoint_id, added.id, added.type,
         json_build_object(
           'id', added.id, 'tenantId', added.tenant_id, 'type', added.type, 'subject', added.subject,
           'data', added.data,
           'createdAt', to_char(added.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))
    FROM added
   CROSS JOIN LATERAL (
     SELECT 'endpoint/' || endpoint.id AS name, endpoint.id AS endpoint_id
       FROM cygni.webhook_endpoints AS endpoint
      WHERE endpoint.tenant_id = added.tenant_id AND endpoint.disabled_reason IS NULL
        AND (endpoint.event_types = '{}' OR added.type = ANY (endpoint.event_types))
     UNION ALL
     SELECT 'notifier/' || notifier.name, NULL::uuid FROM cygni.notifiers AS notifier
   ) AS target;
  RETURN NULL;
END
$$;
CREATE TRIGGER events_are_told AFTER INSERT ON cygni.events
  REFERENCING NEW TABLE AS added
  FOR EACH STATEMENT EXECUTE FUNCTION cygni.plan_deliveries();

ALTER TABLE cygni.sources ADD COLUMN git json;
`,
};
