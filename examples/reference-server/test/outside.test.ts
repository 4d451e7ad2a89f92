import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Webhook } from 'standardwebhooks';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startReceiver } from '../../../packages/notifier-webhook/test/support/receiver.ts';
import {
  type GitServer,
  startGitServer,
} from '../../../packages/sources-git/test/support/git-server.ts';
import { createServerProcess, type ServerProcess } from '../../demo/src/server-process.ts';
import { eventually } from './support/eventually.ts';

let directory: string;
let git: GitServer;
let server: ReturnType<typeof createServerProcess>;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cygni-outside-'));
  git = await startGitServer();
  server = createServerProcess(directory, {
    ...{ BUILD_ENGINE: 'assemble', DEPLOY_RUNTIME: 'namespaces', LOG_LEVEL: 'debug' },
    ...{ WEBHOOK_ALLOWED_HOSTS: 'localhost', GIT_ALLOWED_HOSTS: 'localhost' },
    GIT_CA_FILE: git.caFile,
  });
});
afterEach(async () => {
  await server.stop();
  await git[Symbol.asyncDispose]();
  await rm(directory, { recursive: true, force: true });
});

interface Endpoint {
  readonly id: string;
  readonly secret: string;
}

const patience = () => AbortSignal.timeout(60_000);

async function send<Body>(to: ServerProcess, path: string, body?: object): Promise<Body> {
  const response = await fetch(new URL(path, to.url), {
    headers: { authorization: `Bearer ${to.token}`, 'content-type': 'application/json' },
    ...(body && { method: 'POST', body: JSON.stringify(body) }),
    signal: patience(),
  });
  expect(response.status).toBe(body ? 201 : 200);
  return (await response.json()) as Body;
}

describe('the reference server', () => {
  it('tells of a source that it read from git, also when it was killed before anybody listened', async () => {
    let status = 503;
    await using receiver = await startReceiver((_, response) => response.writeHead(status).end());
    const commit = await git.commit('site', { Dockerfile: 'FROM scratch\n' });
    const first = await server.start(patience());
    const { id, secret } = await send<Endpoint>(first, '/v1/webhook-endpoints', {
      ...{ url: `http://localhost:${receiver.port}/`, eventTypes: ['source.added'] },
    });
    const url = `https://localhost:${git.port}/site/.git`;
    const source = await send<{ id: string; git: object }>(first, '/v1/sources:fetch', {
      git: { url },
    });
    expect(source.git).toEqual({ url, ref: null, commit });
    await eventually(async () => {
      const path = `/v1/webhook-endpoints/${id}/deliveries`;
      const { items } = await send<{ items: { lastStatus: number }[] }>(first, path);
      return items[0]?.lastStatus === 503 ? true : undefined;
    }, patience());
    await server.stop('SIGKILL');

    status = 204;
    await server.start(patience());
    const got = await eventually(() => receiver.received[1], patience());
    expect(new Webhook(secret).verify(got.body, got.headers)).toMatchObject({
      ...{ type: 'source.added', subject: source.id, data: { commit } },
    });
    expect(got.headers['webhook-id']).toBe(receiver.received[0]?.headers['webhook-id']);
    const log = await readFile(first.logFile, 'utf8');
    expect(log).toContain('notifiers: webhook');
    expect(log).not.toContain(secret.slice('whsec_'.length));
  });
});
