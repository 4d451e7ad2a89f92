/**
 * A busy platform's rows: 100 tenants, whose work has nearly all ended. Tables that are short in life, as
 * the outbox, have a backlog. Written past the store, whose rules hold all the same.
 */
export const manyRows = `
ALTER TABLE cygni.sources DISABLE TRIGGER USER;

CREATE FUNCTION pg_temp.tenant(n integer) RETURNS text IMMUTABLE RETURN 'tenant-' || n % 100;
CREATE FUNCTION pg_temp.id(n integer) RETURNS uuid IMMUTABLE RETURN md5(n::text)::uuid;
CREATE FUNCTION pg_temp.moment(n integer) RETURNS timestamptz STABLE RETURN now() - n * interval '5 minutes';

INSERT INTO cygni.sources (tenant_id, id, key, size_bytes, sha256, created_at)
  SELECT pg_temp.tenant(n), pg_temp.id(n), 'key', 1, 'sha256', pg_temp.moment(n) FROM generate_series(0, 19999) AS n;
INSERT INTO cygni.source_checks (tenant_id, source_id, created_at)
  SELECT tenant_id, id, created_at FROM cygni.sources;

INSERT INTO cygni.builds (
    tenant_id, id, state, dispatched, source_id, repository, tags, dockerfile, build_arguments, machine,
    timeout_seconds, maximum_attempts, attempt, counted_attempts, lease_until, enqueued_at, image, currency, estimate,
    cost, created_at, started_at, finished_at)
  SELECT pg_temp.tenant(n), pg_temp.id(n),
         CASE WHEN n < 2000 THEN 'QUEUED' WHEN n < 2500 THEN 'RUNNING' ELSE 'SUCCEEDED' END,
         n < 200 OR n >= 2000, pg_temp.id(n % 20000), 'site', '{latest}', 'Dockerfile', '{}', 'small',
         600, 3, 1, 1, CASE WHEN n BETWEEN 2000 AND 2499 THEN now() + interval '1 minute' END, pg_temp.moment(n),
         CASE WHEN n >= 2500 THEN json_build_object('digest', pg_temp.id(n)) END, 'USD', 100,
         CASE WHEN n >= 2500 THEN 50 END, pg_temp.moment(n), pg_temp.moment(n),
         CASE WHEN n >= 2500 THEN pg_temp.moment(n) END
    FROM generate_series(0, 59999) AS n;

INSERT INTO cygni.log_chunks (tenant_id, build_id, attempt, position, last_sequence, line_count, lines)
  SELECT pg_temp.tenant(n), pg_temp.id(n), 1, chunk * 10, chunk * 10 + 10, 10, '[]'
    FROM generate_series(2000, 3999) AS n, generate_series(0, 24) AS chunk;
INSERT INTO cygni.log_archives (tenant_id, build_id, key)
  SELECT pg_temp.tenant(n), pg_temp.id(n), 'key' FROM generate_series(4000, 23999) AS n;

INSERT INTO cygni.services (tenant_id, name)
  SELECT pg_temp.tenant(n), 'service-' || n / 100 FROM generate_series(0, 19999) AS n;
INSERT INTO cygni.revisions (tenant_id, service, number, repository, digest, environment, health_check, healthy_at)
  SELECT tenant_id, name, number, 'site', md5(tenant_id || name || number), '{}', '{}', now()
    FROM cygni.services, generate_series(1, 2) AS number;
UPDATE cygni.services SET stable_revision = 2, previous_revision = 1, last_revision = 2, last_position = 2;
INSERT INTO cygni.deployments (
    tenant_id, id, service, position, revision, kind, state, maximum_attempts, lease_until, rollout, currency, estimate,
    cost, finished_at)
  SELECT tenant_id, gen_random_uuid(), service, number, number, 'deploy', state, 3,
         CASE state WHEN 'RUNNING' THEN now() END, '{}', 'USD', 100,
         CASE state WHEN 'SUCCEEDED' THEN 50 END, CASE state WHEN 'SUCCEEDED' THEN now() END
    FROM cygni.revisions
   CROSS JOIN LATERAL (
     SELECT CASE WHEN number = 1 OR length(service) > 9 THEN 'SUCCEEDED'
                 WHEN service < 'service-5' THEN 'RUNNING' ELSE 'QUEUED' END AS state) AS chosen;

INSERT INTO cygni.budgets (tenant_id, currency, cap) SELECT 'tenant-' || n, 'USD', 1e9 FROM generate_series(0, 4999) AS n;
INSERT INTO cygni.accounts (tenant_id, currency, period_start, cap, own_cap, ceiling)
  SELECT pg_temp.tenant(n), 'USD', date '2026-01-01' + n / 100, 1e9, true, 1e9 FROM generate_series(0, 19999) AS n;
INSERT INTO cygni.holds (work_id, kind, tenant_id, currency, period_start, amount, state, charged, closed_at)
  SELECT id, 'build', tenant_id, currency, '2026-01-01', estimate, CASE WHEN cost IS NULL THEN 'open' ELSE 'settled' END,
         coalesce(cost, 0), finished_at
    FROM cygni.builds ORDER BY created_at DESC LIMIT 20000;
INSERT INTO cygni.ledger (tenant_id, currency, period_start, work_id, kind, amount)
  SELECT tenant_id, currency, period_start, work_id, 'hold', amount FROM cygni.holds;
INSERT INTO cygni.events (tenant_id, created_at, type, subject, data)
  SELECT tenant_id, created_at, 'build.accepted', id, '{}' FROM cygni.builds LIMIT 20000;

INSERT INTO cygni.idempotency (tenant_id, route, key, fingerprint, resource_id, expires_at)
  SELECT pg_temp.tenant(n), 'route', n::text, 'fingerprint', pg_temp.id(n), now() + n * interval '1 second'
    FROM generate_series(0, 19999) AS n;
INSERT INTO cygni.outbox (kind, work_id, ready)
  SELECT CASE WHEN n % 10 = 0 THEN 'deployment' ELSE 'build' END, pg_temp.id(n), n % 2 = 0
    FROM generate_series(0, 19999) AS n;
INSERT INTO cygni.garbage (key) SELECT n::text FROM generate_series(0, 19999) AS n;
INSERT INTO cygni.webhook_endpoints (tenant_id, id, url, event_types, secrets)
  SELECT pg_temp.tenant(n), pg_temp.id(n), 'https://hook.test', '{}', '[]' FROM generate_series(0, 4999) AS n;
INSERT INTO cygni.deliveries (tenant_id, target, endpoint_id, event_id, event_type, event, state, due_at, created_at, finished_at)
  SELECT pg_temp.tenant(n % 5000), 'endpoint/' || pg_temp.id(n % 5000), pg_temp.id(n % 5000), pg_temp.id(n), 'build.accepted', '{}',
         CASE WHEN n < 2500 THEN 'PENDING' ELSE 'DELIVERED' END, pg_temp.moment(n), pg_temp.moment(n),
         CASE WHEN n >= 2500 THEN pg_temp.moment(n) END
    FROM generate_series(0, 19999) AS n;
INSERT INTO cygni.dispatch_turns (tenant_id, turn) SELECT 'tenant-' || n, n FROM generate_series(0, 4999) AS n;

ALTER TABLE cygni.sources ENABLE TRIGGER USER;
ANALYZE;
`;
