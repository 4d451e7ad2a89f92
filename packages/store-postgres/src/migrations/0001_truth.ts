import type { Migration } from './index.ts';

/**
 * Timestamps that a cursor names have millisecond precision, as JavaScript's dates have: a finer one would make
 * pages skip or repeat rows. Documents are `json`, not `jsonb`, because nothing queries them and `jsonb` refuses U+0000.
 * Identifiers compare by byte (`COLLATE "C"`), the same on every server.
 */
export const truth: Migration = {
  version: 1,
  name: 'truth',
  sql: `
CREATE TABLE cygni.sources (
  tenant_id   text COLLATE "C" NOT NULL,
  id          uuid NOT NULL,
  key         text NOT NULL,
  size_bytes  bigint NOT NULL CHECK (size_bytes >= 0),
  sha256      text NOT NULL,
  created_at  timestamptz(3) NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, id)
);

CREATE TABLE cygni.builds (
  tenant_id         text COLLATE "C" NOT NULL,
  id                uuid NOT NULL,
  state             text NOT NULL DEFAULT 'QUEUED'
    CHECK (state IN ('QUEUED', 'RUNNING', 'SUCCEEDED', 'FAILED', 'CANCELLED', 'TIMED_OUT')),
  source_id         uuid NOT NULL,
  repository        text NOT NULL,
  tags              text[] NOT NULL,
  dockerfile        text NOT NULL,
  target            text,
  build_arguments   json NOT NULL,
  machine           text NOT NULL,
  timeout_seconds   integer NOT NULL,
  maximum_attempts  integer NOT NULL CHECK (maximum_attempts > 0),
  attempt           integer NOT NULL DEFAULT 0,
  counted_attempts  integer NOT NULL DEFAULT 0,
  lease_until       timestamptz,
  enqueued_at       timestamptz NOT NULL DEFAULT now(),
  cancel_requested  boolean NOT NULL DEFAULT false,
  log_sequence      bigint NOT NULL DEFAULT 0,
  image             json,
  failure           json,
  currency          text NOT NULL,
  estimate          bigint NOT NULL CHECK (estimate >= 0),
  cost              bigint,
  created_at        timestamptz(3) NOT NULL DEFAULT now(),
  started_at        timestamptz(3),
  finished_at       timestamptz(3),
  PRIMARY KEY (tenant_id, id),
  UNIQUE (id),
  FOREIGN KEY (tenant_id, source_id) REFERENCES cygni.sources (tenant_id, id),
  CHECK (counted_attempts BETWEEN 0 AND least(attempt, maximum_attempts)),
  CHECK (cost BETWEEN 0 AND estimate),
  CHECK ((state = 'RUNNING') = (lease_until IS NOT NULL)),
  CHECK ((state IN ('QUEUED', 'RUNNING')) = (finished_at IS NULL)),
  CHECK ((state IN ('QUEUED', 'RUNNING')) = (cost IS NULL))
) WITH (fillfactor = 80);
CREATE INDEX builds_by_age ON cygni.builds (tenant_id, created_at, id);
CREATE INDEX builds_of_source ON cygni.builds (tenant_id, source_id);
CREATE INDEX builds_queued ON cygni.builds (enqueued_at) WHERE state = 'QUEUED';
CREATE INDEX builds_running ON cygni.builds (lease_until) WHERE state = 'RUNNING';
CREATE INDEX builds_used_up ON cygni.builds (id)
  WHERE state IN ('QUEUED', 'RUNNING') AND (counted_attempts >= maximum_attempts OR cancel_requested);

CREATE TABLE cygni.log_chunks (
  tenant_id      text COLLATE "C" NOT NULL,
  build_id       uuid NOT NULL,
  attempt        integer NOT NULL,
  position       bigint NOT NULL CHECK (position >= 0),
  last_sequence  bigint NOT NULL,
  line_count     integer NOT NULL CHECK (line_count > 0),
  lines          text NOT NULL,
  created_at     timestamptz(3) NOT NULL DEFAULT now(),
  UNIQUE (build_id, attempt, position),
  UNIQUE (tenant_id, build_id, last_sequence),
  FOREIGN KEY (tenant_id, build_id) REFERENCES cygni.builds (tenant_id, id) ON DELETE CASCADE
);

CREATE TABLE cygni.services (
  tenant_id          text COLLATE "C" NOT NULL,
  name               text COLLATE "C" NOT NULL,
  stable_revision    integer,
  previous_revision  integer,
  last_revision      integer NOT NULL DEFAULT 0,
  last_position      bigint NOT NULL DEFAULT 0,
  url                text,
  created_at         timestamptz(3) NOT NULL DEFAULT now(),
  updated_at         timestamptz(3) NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, name)
);
CREATE INDEX services_by_age ON cygni.services (tenant_id, created_at, name);
CREATE INDEX services_settled ON cygni.services (created_at, tenant_id, name)
  WHERE stable_revision IS NOT NULL;

CREATE TABLE cygni.revisions (
  tenant_id     text COLLATE "C" NOT NULL,
  service       text COLLATE "C" NOT NULL,
  number        integer NOT NULL CHECK (number > 0),
  repository    text NOT NULL,
  digest        text NOT NULL,
  build_id      uuid,
  environment   json NOT NULL,
  arguments     json,
  health_check  json NOT NULL,
  healthy_at    timestamptz(3),
  created_at    timestamptz(3) NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, service, number),
  FOREIGN KEY (tenant_id, service) REFERENCES cygni.services (tenant_id, name),
  FOREIGN KEY (tenant_id, build_id) REFERENCES cygni.builds (tenant_id, id) ON DELETE SET NULL (build_id)
);
CREATE INDEX revisions_of_build ON cygni.revisions (tenant_id, build_id) WHERE build_id IS NOT NULL;
ALTER TABLE cygni.services
  ADD FOREIGN KEY (tenant_id, name, stable_revision)
    REFERENCES cygni.revisions (tenant_id, service, number),
  ADD FOREIGN KEY (tenant_id, name, previous_revision)
    REFERENCES cygni.revisions (tenant_id, service, number);

CREATE TABLE cygni.deployments (
  tenant_id         text COLLATE "C" NOT NULL,
  id                uuid NOT NULL,
  service           text COLLATE "C" NOT NULL,
  position          bigint NOT NULL,
  revision          integer NOT NULL,
  kind              text NOT NULL CHECK (kind IN ('deploy', 'rollback')),
  state             text NOT NULL DEFAULT 'QUEUED'
    CHECK (state IN ('QUEUED', 'RUNNING', 'SUCCEEDED', 'FAILED', 'ROLLED_BACK', 'CANCELLED', 'SUPERSEDED')),
  phase             text NOT NULL DEFAULT 'PENDING',
  maximum_attempts  integer NOT NULL CHECK (maximum_attempts > 0),
  attempt           integer NOT NULL DEFAULT 0,
  counted_attempts  integer NOT NULL DEFAULT 0,
  lease_until       timestamptz,
  enqueued_at       timestamptz NOT NULL DEFAULT now(),
  cancel_requested  boolean NOT NULL DEFAULT false,
  rollout           json NOT NULL,
  message           text,
  evidence          json,
  superseded_by     uuid,
  currency          text NOT NULL,
  estimate          bigint NOT NULL CHECK (estimate >= 0),
  cost              bigint,
  created_at        timestamptz(3) NOT NULL DEFAULT now(),
  started_at        timestamptz(3),
  finished_at       timestamptz(3),
  PRIMARY KEY (tenant_id, id),
  UNIQUE (id),
  UNIQUE (tenant_id, service, position),
  FOREIGN KEY (tenant_id, service, revision) REFERENCES cygni.revisions (tenant_id, service, number),
  CHECK (counted_attempts BETWEEN 0 AND least(attempt, maximum_attempts)),
  CHECK (cost BETWEEN 0 AND estimate),
  CHECK ((state = 'RUNNING') = (lease_until IS NOT NULL)),
  CHECK ((state IN ('QUEUED', 'RUNNING')) = (finished_at IS NULL)),
  CHECK ((state IN ('QUEUED', 'RUNNING')) = (cost IS NULL)),
  CHECK ((state = 'SUPERSEDED') = (superseded_by IS NOT NULL))
) WITH (fillfactor = 80);
CREATE INDEX deployments_by_age ON cygni.deployments (tenant_id, created_at, id);
CREATE INDEX deployments_of_service_by_age ON cygni.deployments (tenant_id, service, created_at, id);
CREATE INDEX deployments_unfinished ON cygni.deployments (tenant_id, service, position)
  WHERE state IN ('QUEUED', 'RUNNING');
CREATE UNIQUE INDEX deployments_one_at_a_time ON cygni.deployments (tenant_id, service) WHERE state = 'RUNNING';
CREATE INDEX deployments_queued ON cygni.deployments (enqueued_at) WHERE state = 'QUEUED';
CREATE INDEX deployments_running ON cygni.deployments (lease_until) WHERE state = 'RUNNING';
CREATE INDEX deployments_used_up ON cygni.deployments (id)
  WHERE state IN ('QUEUED', 'RUNNING') AND (counted_attempts >= maximum_attempts OR cancel_requested);

-- A tenant's own cap, which outlives periods; cap NULL: no cap.
CREATE TABLE cygni.budgets (
  tenant_id   text COLLATE "C" NOT NULL,
  currency    text COLLATE "C" NOT NULL,
  cap         bigint CHECK (cap >= 0),
  updated_at  timestamptz(3) NOT NULL DEFAULT now(),
  PRIMARY KEY (tenant_id, currency)
);

-- cap is what the tenant is told and what new work is held to. ceiling is what can never be passed: it is above
-- cap only where cap was lowered below what was in use by then.
CREATE TABLE cygni.accounts (
  tenant_id     text COLLATE "C" NOT NULL,
  currency      text COLLATE "C" NOT NULL,
  period_start  timestamptz(3) NOT NULL,
  period_end    timestamptz(3),
  cap           bigint CHECK (cap >= 0),
  own_cap       boolean NOT NULL,
  ceiling       bigint,
  spent         bigint NOT NULL DEFAULT 0,
  reserved      bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (tenant_id, currency, period_start),
  CHECK ((cap IS NULL) = (ceiling IS NULL)),
  CHECK (ceiling >= cap),
  CONSTRAINT accounts_never_overspent CHECK (spent >= 0 AND reserved >= 0 AND spent + reserved <= ceiling),
  CONSTRAINT accounts_safe_integers CHECK (spent + reserved <= 9007199254740991)
) WITH (fillfactor = 50);

CREATE TABLE cygni.holds (
  work_id        uuid PRIMARY KEY,
  kind           text NOT NULL CHECK (kind IN ('build', 'deployment')),
  tenant_id      text COLLATE "C" NOT NULL,
  currency       text COLLATE "C" NOT NULL,
  period_start   timestamptz(3) NOT NULL,
  amount         bigint NOT NULL CHECK (amount >= 0),
  state          text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'settled', 'released')),
  charged        bigint NOT NULL DEFAULT 0,
  created_at     timestamptz(3) NOT NULL DEFAULT now(),
  closed_at      timestamptz(3),
  build_id       uuid GENERATED ALWAYS AS (CASE kind WHEN 'build' THEN work_id END) STORED,
  deployment_id  uuid GENERATED ALWAYS AS (CASE kind WHEN 'deployment' THEN work_id END) STORED,
  FOREIGN KEY (tenant_id, currency, period_start) REFERENCES cygni.accounts (tenant_id, currency, period_start),
  FOREIGN KEY (tenant_id, build_id) REFERENCES cygni.builds (tenant_id, id),
  FOREIGN KEY (tenant_id, deployment_id) REFERENCES cygni.deployments (tenant_id, id),
  CHECK (charged BETWEEN 0 AND amount),
  CHECK ((state = 'settled') = (charged > 0)),
  CHECK ((state = 'open') = (closed_at IS NULL))
);
CREATE INDEX holds_open ON cygni.holds (tenant_id, currency, period_start) WHERE state = 'open';

-- Reserved is the sum of 'hold' less 'settle' and 'release'; spent is the sum of 'settle'. Outlives the work.
CREATE TABLE cygni.ledger (
  id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  tenant_id     text COLLATE "C" NOT NULL,
  currency      text COLLATE "C" NOT NULL,
  period_start  timestamptz(3) NOT NULL,
  work_id       uuid NOT NULL,
  kind          text NOT NULL CHECK (kind IN ('hold', 'settle', 'release')),
  amount        bigint NOT NULL CHECK (amount >= 0),
  created_at    timestamptz(3) NOT NULL DEFAULT now(),
  UNIQUE (work_id, kind),
  FOREIGN KEY (tenant_id, currency, period_start) REFERENCES cygni.accounts (tenant_id, currency, period_start)
);
CREATE FUNCTION cygni.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the ledger is append-only' USING ERRCODE = 'restrict_violation';
END
$$;
CREATE TRIGGER ledger_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON cygni.ledger
  FOR EACH STATEMENT EXECUTE FUNCTION cygni.refuse_change();

CREATE TABLE cygni.idempotency (
  tenant_id    text COLLATE "C" NOT NULL,
  route        text COLLATE "C" NOT NULL,
  key          text COLLATE "C" NOT NULL,
  fingerprint  text NOT NULL,
  resource_id  uuid NOT NULL,
  expires_at   timestamptz NOT NULL,
  PRIMARY KEY (tenant_id, route, key)
);
CREATE INDEX idempotency_expired ON cygni.idempotency (expires_at);

CREATE TABLE cygni.outbox (
  id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  kind        text NOT NULL CHECK (kind IN ('build', 'deployment')),
  work_id     uuid NOT NULL,
  created_at  timestamptz(3) NOT NULL DEFAULT now()
);
CREATE INDEX outbox_of_work ON cygni.outbox (work_id);

CREATE TABLE cygni.events (
  tenant_id   text COLLATE "C" NOT NULL,
  created_at  timestamptz(3) NOT NULL DEFAULT now(),
  id          uuid NOT NULL DEFAULT gen_random_uuid(),
  type        text NOT NULL,
  subject     text NOT NULL,
  data        json NOT NULL,
  PRIMARY KEY (tenant_id, created_at, id)
);
`,
};
