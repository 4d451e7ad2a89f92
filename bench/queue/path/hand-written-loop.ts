import { randomUUID } from 'node:crypto';
import type { RequestListener } from 'node:http';
import { Queue, Worker } from 'bullmq';
import express from 'express';
import pg from 'pg';
import { z } from 'zod';
import { now, poolSize, type Report, type Role } from './protocol.ts';

export const loopTable = `
  CREATE TABLE job (
    id uuid PRIMARY KEY, tenant text NOT NULL, request json NOT NULL, state text NOT NULL DEFAULT 'queued',
    created_at timestamptz NOT NULL DEFAULT now(), finished_at timestamptz)`;

const insert = {
  name: 'insert',
  text: 'INSERT INTO job (id, tenant, request) VALUES ($1, $2, $3)',
};
const update = {
  name: 'update',
  text: `UPDATE job SET state = 'finished', finished_at = now() WHERE id = $1 AND state = 'queued'`,
};
const requestSchema = z.object({ sourceId: z.uuid(), repository: z.string() });

/**
 * What one writes without a platform: a row and a job for each request, and an update when it is done. It loses a
 * build where a process dies between the two, and has no budget, no leases, no fairness and no events.
 */
export async function runLoop(
  { part, redisUrl, databaseUrl, prefix, concurrency }: Role,
  report: (said: Report) => void,
): Promise<RequestListener | null> {
  const pool = new pg.Pool({ connectionString: databaseUrl, max: poolSize });
  const connection = { url: redisUrl, maxRetriesPerRequest: null };
  if (part === 'worker') {
    const worker = new Worker<{ readonly id: string }>(
      'build',
      async ({ data }) => {
        report({ is: 'started', at: now() });
        await pool.query({ ...update, values: [data.id] });
        report({ is: 'finished', at: now() });
      },
      { connection, prefix, concurrency },
    );
    await worker.waitUntilReady();
    return null;
  }
  const queue = new Queue('build', { connection, prefix });
  await queue.waitUntilReady();
  const app = express();
  app.use(express.json());
  app.post('/v1/builds', async (request, response) => {
    const wanted = requestSchema.parse(request.body);
    const id = randomUUID();
    const values = [id, request.headers.authorization, JSON.stringify(wanted)];
    await pool.query({ ...insert, values });
    await queue.add('build', { id }, { jobId: id, attempts: 3, removeOnComplete: true });
    response.status(202).json({ id });
  });
  return app;
}
