import type { TestDatabase } from '../support/test-database.ts';

/**
 * Triggers, in a schema of their own, that note what no look at the tables afterwards could tell: every change of a
 * state, every message, and every reservation beyond the cap of its moment. They refuse nothing.
 */
export async function watch({ query }: TestDatabase): Promise<void> {
  await query(`
    CREATE SCHEMA watch;
    CREATE TABLE watch.changes (work_id uuid, before text, after text);
    CREATE TABLE watch.overspent (tenant_id text, cap bigint, used bigint);
    CREATE TABLE watch.messages (id bigint);

    CREATE FUNCTION watch.change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      INSERT INTO watch.changes VALUES (NEW.id, OLD.state, NEW.state);
      RETURN NULL;
    END $$;
    CREATE TRIGGER watch AFTER UPDATE ON cygni.builds
      FOR EACH ROW WHEN (OLD.state <> NEW.state) EXECUTE FUNCTION watch.change();
    CREATE TRIGGER watch AFTER UPDATE ON cygni.deployments
      FOR EACH ROW WHEN (OLD.state <> NEW.state) EXECUTE FUNCTION watch.change();

    CREATE FUNCTION watch.reservation() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      INSERT INTO watch.overspent VALUES (NEW.tenant_id, NEW.cap, NEW.spent + NEW.reserved);
      RETURN NULL;
    END $$;
    CREATE TRIGGER watch AFTER UPDATE ON cygni.accounts
      FOR EACH ROW WHEN (NEW.reserved > OLD.reserved AND NEW.spent + NEW.reserved > NEW.cap)
      EXECUTE FUNCTION watch.reservation();

    CREATE FUNCTION watch.message() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      INSERT INTO watch.messages VALUES (NEW.id);
      RETURN NULL;
    END $$;
    CREATE TRIGGER watch AFTER INSERT ON cygni.outbox
      FOR EACH ROW WHEN (NEW.ready OR NEW.kind = 'deployment') EXECUTE FUNCTION watch.message();`);
}
