import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createEcrRegistry } from '@cygni/registry-ecr';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { motoIsMissing } from '../../artifacts-s3/test/support/moto.ts';
import { testCall } from './support/call.ts';
import { listen } from './support/ecr-fake/listen.ts';
import {
  type EcrBackend,
  type EcrFake,
  startEcrBackend,
  startEcrFake,
} from './support/ecr-fake/start-ecr-fake.ts';

const role = 'arn:aws:iam::123456789012:role/builder';

/** moto plays STS, which trusts any token for any role; the API is the fake's. */
describe.skipIf(motoIsMissing)('ECR without credentials in the options', () => {
  let backend: EcrBackend;
  let fake: EcrFake;
  let directory: string;
  beforeAll(async () => {
    backend = await startEcrBackend();
  });
  afterAll(() => backend?.[Symbol.asyncDispose]());
  beforeEach(async () => {
    fake = await startEcrFake(backend);
    directory = await mkdtemp(join(tmpdir(), 'cygni-chain-'));
    for (const name of Object.keys(process.env)) {
      if (name.startsWith('AWS_')) vi.stubEnv(name, undefined);
    }
    environment({
      AWS_REGION: 'us-east-1',
      AWS_ENDPOINT_URL_STS: backend.moto,
      AWS_CONFIG_FILE: join(directory, 'config'),
      AWS_SHARED_CREDENTIALS_FILE: join(directory, 'credentials'),
      AWS_EC2_METADATA_DISABLED: 'true',
    });
  });
  afterEach(async () => {
    vi.unstubAllEnvs();
    await rm(directory, { recursive: true, force: true });
    await fake?.[Symbol.asyncDispose]();
  });

  function environment(variables: Readonly<Record<string, string>>): void {
    for (const [name, value] of Object.entries(variables)) vi.stubEnv(name, value);
  }

  /** Asks for a token as a server without any options would; returns the key that signed the request. */
  async function signerOfToken(): Promise<string> {
    await using registry = createEcrRegistry({
      host: fake.host,
      registryId: '123456789012',
      region: 'us-east-1',
      endpoint: fake.endpoint,
      insecure: true,
      retry: { retries: 0 },
    });
    await registry.open(testCall());
    return fake.seen[0]?.accessKeyId ?? '';
  }

  /** Who a key is, as STS says. */
  async function callerOf(accessKeyId: string): Promise<string> {
    const response = await fetch(backend.moto, {
      method: 'POST',
      headers: {
        authorization: `AWS4-HMAC-SHA256 Credential=${accessKeyId}/20260101/us-east-1/sts/aws4_request, SignedHeaders=host, Signature=0`,
      },
      body: new URLSearchParams({ Action: 'GetCallerIdentity', Version: '2011-06-15' }),
    });
    return /<Arn>(.+)<\/Arn>/.exec(await response.text())?.[1] ?? '';
  }

  it('takes the role of a service account (IRSA), by its web identity token', async () => {
    const tokenFile = join(directory, 'token');
    await writeFile(tokenFile, 'header.payload.signature');
    environment({
      AWS_WEB_IDENTITY_TOKEN_FILE: tokenFile,
      AWS_ROLE_ARN: role,
      AWS_ROLE_SESSION_NAME: 'pod',
    });
    expect(await callerOf(await signerOfToken())).toBe(
      'arn:aws:sts::123456789012:assumed-role/builder/pod',
    );
  });

  it('assumes the role that a profile names', async () => {
    await writeFile(
      join(directory, 'config'),
      `[profile builder]\nrole_arn = ${role}\nrole_session_name = worker\nsource_profile = base\n`,
    );
    await writeFile(
      join(directory, 'credentials'),
      '[base]\naws_access_key_id = base\naws_secret_access_key = not-a-secret\n',
    );
    environment({ AWS_PROFILE: 'builder' });
    expect(await callerOf(await signerOfToken())).toBe(
      'arn:aws:sts::123456789012:assumed-role/builder/worker',
    );
  });

  it('asks the address that a container is given, with the token that it is given', async () => {
    const asked: (string | undefined)[] = [];
    await using agent = await listen((request, response) => {
      asked.push(`${request.url} ${request.headers.authorization}`);
      const inAnHour = new Date(Date.now() + 3_600_000).toISOString();
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(
        JSON.stringify({
          AccessKeyId: 'of-the-container',
          SecretAccessKey: 'not-a-secret',
          Token: 'not-a-secret-either',
          Expiration: inAnHour,
        }),
      );
    });
    const tokenFile = join(directory, 'container-token');
    await writeFile(tokenFile, 'from-the-file');
    environment({
      AWS_CONTAINER_CREDENTIALS_FULL_URI: `http://${agent.host}/v1/credentials`,
      AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: tokenFile,
    });
    expect(await signerOfToken()).toBe('of-the-container');
    expect(asked).toEqual(['/v1/credentials from-the-file']);
  });

  it('says that it has none where there are none', async () => {
    await expect(signerOfToken()).rejects.toMatchObject({ code: 'invalid_configuration' });
    expect(fake.seen).toEqual([]);
  });
});
