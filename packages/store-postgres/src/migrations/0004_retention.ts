import type { Migration } from './index.ts';

/**
 * What is old is removed; the ledger is what remembers the money of work that is gone, whose closed holds go with it.
 *
 * The keys from holds to work would need an index each that every acceptance pays for, only so that work can go. The
 * triggers refuse the same by the holds' primary key: no work goes while its money is held.
 * `source_checks` names the sources that may be unused: a new one, and one of a build that was removed. The trigger
 * serves the version before too, which knows nothing of it.
 */
export const retention: Migration = {
  version: 4,
  name: 'retention',
  sql: `
ALTER TABLE cygni.revisions ADD COLUMN replaced_at timestamptz(3);
CREATE INDEX revisions_of_image ON cygni.revisions (tenant_id, digest);

CREATE FUNCTION cygni.refuse_while_held() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM cygni.holds WHERE work_id = OLD.id AND state = 'open') THEN
    RAISE EXCEPTION 'its money is held' USING ERRCODE = 'restrict_violation', CONSTRAINT = 'holds_open_keep_work';
  END IF;
  RETURN OLD;
END
$$;
CREATE TRIGGER builds_stay_while_held BEFORE DELETE ON cygni.builds
  FOR EACH ROW EXECUTE FUNCTION cygni.refuse_while_held();
CREATE TRIGGER deployments_stay_while_held BEFORE DELETE ON cygni.deployments
  FOR EACH ROW EXECUTE FUNCTION cygni.refuse_while_held();
ALTER TABLE cygni.holds
  DROP CONSTRAINT holds_tenant_id_build_id_fkey,
  DROP CONSTRAINT holds_tenant_id_deployment_id_fkey;

CREATE TABLE cygni.source_checks (
  tenant_id   text COLLATE "C" NOT NULL,
  source_id   uuid NOT NULL,
  created_at  timestamptz(3) NOT NULL,
  PRIMARY KEY (tenant_id, source_id),
  FOREIGN KEY (tenant_id, source_id) REFERENCES cygni.sources (tenant_id, id) ON DELETE CASCADE
);
CREATE INDEX source_checks_by_age ON cygni.source_checks (created_at);
INSERT INTO cygni.source_checks (tenant_id, source_id, created_at)
  SELECT tenant_id, id, created_at FROM cygni.sources;
CREATE FUNCTION cygni.check_source() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO cygni.source_checks (tenant_id, source_id, created_at)
  VALUES (NEW.tenant_id, NEW.id, NEW.created_at);
  RETURN NULL;
END
$$;
CREATE TRIGGER sources_are_checked AFTER INSERT ON cygni.sources
  FOR EACH ROW EXECUTE FUNCTION cygni.check_source();

-- Artifacts that nothing refers to any more, to be deleted.
CREATE TABLE cygni.garbage (
  key         text PRIMARY KEY,
  created_at  timestamptz(3) NOT NULL DEFAULT now()
);
`,
};
