import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEmbeddedPostgres } from '@cygni/store-postgres/embedded';
import { type Cluster, findCluster } from './cluster.ts';
import { startS3Service } from './s3-service.ts';

/** What the reference server needs beside itself. Data, so that test workers can be given it. */
export interface Services {
  readonly cluster: Cluster;
  readonly s3: {
    readonly endpoint: string;
    readonly authorityFile: string;
    readonly bucket: string;
  };
  /** Of a PostgreSQL whose user may create databases. */
  readonly postgresUrl: string;
}

/** Fails with what is missing: an end-to-end test that skips itself tells nothing. */
export async function startServices(): Promise<Services & AsyncDisposable> {
  await using cleanUp = new AsyncDisposableStack();
  const cluster = await findCluster();
  const directory = await mkdtemp(join(tmpdir(), 'cygni-e2e-'));
  cleanUp.defer(() => rm(directory, { recursive: true, force: true }));
  const { endpoint, authorityFile, bucket } = cleanUp.use(
    await startS3Service(directory, cluster.nodeIp),
  );
  let postgresUrl = process.env.DATABASE_URL;
  if (!postgresUrl) {
    const postgres = await startEmbeddedPostgres({
      directory: join(directory, 'postgres'),
      durable: false,
    });
    cleanUp.defer(() => postgres.close());
    postgresUrl = postgres.url;
  }
  const owned = cleanUp.move();
  return {
    cluster,
    s3: { endpoint, authorityFile, bucket },
    postgresUrl,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
