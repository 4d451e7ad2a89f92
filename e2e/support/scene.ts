import { randomBytes } from 'node:crypto';
import { copyFile, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { createServerProcess } from '../../examples/demo/src/server-process.ts';
import { type Api, createApi } from './api.ts';
import { createNamespace, type Namespace } from './kubernetes.ts';
import type { Services } from './services.ts';

const roleFile = fileURLToPath(
  new URL('../../packages/builder-kaniko/kubernetes/role.yaml', import.meta.url),
);
const serviceAccount = 'cygni-builder';

/** Small enough for the sixteen that run at once on a node with two CPUs. */
const machine = { cpu: '2', cpuRequest: '50m', memory: '512Mi', ephemeralStorage: '2Gi' };
const machines = JSON.stringify({ small: machine, medium: machine, large: machine });

export interface RunningServer extends AsyncDisposable {
  readonly url: string;
  readonly api: Api;
  readonly token: string;
  readonly processId: number;
  /** The exit code; null where a signal ended it. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
  log(): Promise<string>;
}

/** A namespace, a database and a signing key that all servers of one test file share. */
export interface Scene extends AsyncDisposable {
  readonly namespace: Namespace;
  readonly directory: string;
  /** A reference server that builds with kaniko as a ServiceAccount that may do no more than it must. */
  startServer(environment?: Readonly<Record<string, string>>): Promise<RunningServer>;
}

export async function setScene(services: Services): Promise<Scene> {
  await using cleanUp = new AsyncDisposableStack();
  const { cluster, s3, postgresUrl } = services;
  const directory = await mkdtemp(join(tmpdir(), 'cygni-e2e-scene-'));
  cleanUp.defer(() => rm(directory, { recursive: true, force: true }));
  const databaseUrl = await createDatabase(postgresUrl, cleanUp);
  const namespace = cleanUp.use(await createNamespace(cluster.kubeconfig));
  await namespace.apply(await readFile(roleFile, 'utf8'));
  const kubeconfig = await namespace.writeKubeconfig(directory, serviceAccount);
  const signingKey = join(directory, 'signing-key.json');
  const defaults = {
    DATABASE_URL: databaseUrl,
    HOST: cluster.nodeIp,
    CYGNI_BUILDER: 'kaniko',
    KUBECONFIG: kubeconfig,
    KANIKO_NAMESPACE: namespace.name,
    KANIKO_IMAGE: cluster.kanikoImage,
    KANIKO_FLAVOUR: cluster.kanikoFlavour,
    KANIKO_CA_FILE: s3.authorityFile,
    KANIKO_DNS_POLICY: 'Default',
    KANIKO_MACHINES: machines,
    KANIKO_MIRRORS: cluster.registry,
    KANIKO_INSECURE_REGISTRIES: cluster.registry,
    S3_BUCKET: s3.bucket,
    S3_ENDPOINT: s3.endpoint,
    AWS_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: 'e2e',
    AWS_SECRET_ACCESS_KEY: 'e2e',
    NODE_EXTRA_CA_CERTS: s3.authorityFile,
    BUILD_CONCURRENCY: '8',
    BUILDS_PER_TENANT: '100',
  };
  const owned = cleanUp.move();

  return {
    namespace,
    directory,
    async startServer(environment = {}) {
      const home = join(directory, randomBytes(4).toString('hex'));
      await mkdir(join(home, 'data'), { recursive: true, mode: 0o700 });
      const ownKey = join(home, 'data', 'signing-key.json');
      await copyFile(signingKey, ownKey).catch(unlessMissing);
      const process = createServerProcess(home, { ...defaults, ...environment });
      owned.defer(async () => {
        await process.stop();
      });
      const { url, token, logFile, processId } = await process.start(new AbortController().signal);
      await copyFile(ownKey, signingKey);
      return {
        url,
        token,
        processId,
        api: createApi(url, token),
        stop: process.stop,
        log: () => readFile(logFile, 'utf8'),
        async [Symbol.asyncDispose]() {
          await process.stop();
        },
      };
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function unlessMissing(error: unknown): void {
  if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
}

async function createDatabase(url: string, cleanUp: AsyncDisposableStack): Promise<string> {
  const name = `e2e_${randomBytes(8).toString('hex')}`;
  await administer(url, `CREATE DATABASE ${name}`);
  cleanUp.defer(() => administer(url, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`));
  const own = new URL(url);
  own.pathname = `/${name}`;
  return own.href;
}

async function administer(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}
