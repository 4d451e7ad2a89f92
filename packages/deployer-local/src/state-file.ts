import { randomUUID } from 'node:crypto';
import { open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { CygniError, healthCheckSchema } from '@cygni/core';
import { z } from 'zod';
import { systemCode } from './map-error.ts';

const processRecordSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('namespaces'),
    pid: z.int().positive(),
    startTime: z.string(),
    bootId: z.string(),
  }),
  z.strictObject({ kind: z.literal('container'), engine: z.string(), name: z.string() }),
]);
/** What is needed to find a process again after a crash of the server. */
export type ProcessRecord = z.output<typeof processRecordSchema>;

const revisionRecordSchema = z.strictObject({
  tenantId: z.string(),
  service: z.string(),
  revision: z.int().positive(),
  /** As it was asked for: of a manifest or of an index. */
  requestedDigest: z.string(),
  /** Of the manifest that runs. */
  digest: z.string(),
  instanceId: z.string(),
  port: z.int(),
  healthCheck: healthCheckSchema,
  startedAt: z.iso.datetime(),
  /** Null while nothing runs for it. */
  process: processRecordSchema.nullable(),
});
/** A revision that was applied and not removed yet. Its environment is not kept: it may hold secrets. */
export type RevisionRecord = z.output<typeof revisionRecordSchema>;

const serviceRecordSchema = z.strictObject({
  tenantId: z.string(),
  service: z.string(),
  /** The public port; chosen once. */
  port: z.int(),
  traffic: z.array(z.strictObject({ revision: z.int(), percent: z.int() })),
});

const stateSchema = z.strictObject({
  version: z.literal(1),
  services: z.array(serviceRecordSchema),
  revisions: z.array(revisionRecordSchema),
});
export type State = z.output<typeof stateSchema>;

export interface StateFile {
  /** @throws `integrity` if the file is not one of ours */
  load(): Promise<State>;
  /** Replaces the file as a whole; saves queue up behind one another. */
  save(state: State): Promise<void>;
}

export function createStateFile(directory: string): StateFile {
  const path = join(directory, 'state.json');
  let last: Promise<void> = Promise.resolve();
  return {
    async load() {
      let text: string;
      try {
        text = await readFile(path, 'utf8');
      } catch (error) {
        if (systemCode(error) === 'ENOENT') return { version: 1, services: [], revisions: [] };
        throw error;
      }
      try {
        return stateSchema.parse(JSON.parse(text));
      } catch (cause) {
        throw new CygniError('integrity', `${path} is not the state of a local deployer`, {
          cause,
        });
      }
    },
    save(state) {
      const text = JSON.stringify(state);
      const saved = last.then(() => replaceFile(path, text));
      last = saved.catch(() => {});
      return saved;
    },
  };
}

/** Writes a file so that a crash leaves the old content or the new, never a part. */
export async function replaceFile(path: string, text: string): Promise<void> {
  const temporary = `${path}.${randomUUID()}.tmp`;
  try {
    const file = await open(temporary, 'wx', 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}
