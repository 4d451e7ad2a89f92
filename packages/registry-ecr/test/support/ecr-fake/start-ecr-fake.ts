import { mkdtemp, rm } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { createRegistryServer, type RegistryServer } from '@cygni/registry-oci';
import { z } from 'zod';
import { startMoto } from '../../../../artifacts-s3/test/support/moto.ts';
import { createControlPlane } from './control-plane.ts';
import { createDataPlane, serveStorage } from './data-plane.ts';
import type { Fault, SeenRequest } from './faults.ts';
import { listen } from './listen.ts';
import { createMotoImages } from './moto-images.ts';
import { createTokens } from './tokens.ts';

/** moto and a registry of ours: what any number of fakes, one after another, stand in front of. */
export interface EcrBackend extends AsyncDisposable {
  readonly moto: string;
  readonly content: { readonly server: RegistryServer; readonly url: string };
}

export interface EcrFake extends AsyncDisposable {
  /** Of the registry and of the API: `address:port`. */
  readonly host: string;
  readonly endpoint: string;
  readonly seen: readonly SeenRequest[];
  /** Asked for each request, in order; undefined: it is served. */
  fault: (request: SeenRequest) => Fault | undefined;
  /** How long the tokens last that are issued from now on: at first 12 hours, as on AWS. */
  tokenSeconds: number;
  /** Every token that was issued until now is at its end. */
  expireTokens(): void;
  /** Epoch milliseconds, by the clock of the fake. */
  now(): number;
  elapse(seconds: number): void;
}

const objectSchema = z.record(z.string(), z.unknown());

export async function startEcrBackend(): Promise<EcrBackend> {
  const cleanUp = new AsyncDisposableStack();
  const moto = cleanUp.use(await startMoto());
  const directory = await mkdtemp(join(tmpdir(), 'cygni-ecr-'));
  cleanUp.defer(() => rm(directory, { recursive: true, force: true }));
  const server = cleanUp.use(createRegistryServer({ directory }));
  await server.open();
  const { host } = cleanUp.use(await listen(server.handle));
  return {
    moto: moto.endpoint,
    content: { server, url: `http://${host}` },
    [Symbol.asyncDispose]: () => cleanUp.disposeAsync(),
  };
}

/**
 * Stands for Amazon ECR. What it does was read in AWS's documentation and in reports of others; AWS was never asked.
 * @param options.address where it listens; 127.0.0.1 by default
 * @param options.pageSize of ListImages; at most what was asked for
 */
export async function startEcrFake(
  backend: EcrBackend,
  { pageSize = 1_000, address = '127.0.0.1' } = {},
): Promise<EcrFake> {
  let offsetMs = 0;
  const now = () => Date.now() + offsetMs;
  const tokens = createTokens(now, () => fake.tokenSeconds * 1000);
  const seen: SeenRequest[] = [];
  const moto = createMotoImages(backend.moto);
  const storage = await listen(serveStorage(backend.content.server), address);
  const front = await listen((request, response) => {
    serve(request, response).catch((error: unknown) => {
      response.writeHead(500).end(String(error));
    });
  }, address);
  const control = createControlPlane(moto, tokens, front.host, backend.content.url, pageSize);
  const serveData = createDataPlane({
    moto,
    tokens,
    control,
    content: backend.content,
    storage: () => `http://${storage.host}`,
  });

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '', headers } = request;
    const operation = String(headers['x-amz-target'] ?? '').split('.')[1];
    const accessKeyId = /Credential=([^/]+)\//.exec(headers.authorization ?? '')?.[1];
    const each: SeenRequest = { method, url, operation, accessKeyId };
    seen.push(each);
    const fault = fake.fault(each);
    if (fault?.kind === 'hang') return;
    if (fault?.kind === 'cut') {
      request.destroy();
      return;
    }
    if (fault?.kind === 'answer') {
      request.resume();
      response.writeHead(fault.status, fault.headers).end(fault.body);
      return;
    }
    // The answer is made, and never sent.
    if (fault?.kind === 'loseAnswer') response.writeHead = () => response.destroy();
    if (operation === undefined) return serveData(request, response);
    const answer = await control.answer(operation, objectSchema.parse(await json(request)));
    const body = JSON.stringify(answer.body);
    response.writeHead(answer.status, { 'content-type': 'application/x-amz-json-1.1' });
    response.end(body.replaceAll('123456789012.dkr.ecr.us-east-1.amazonaws.com', front.host));
  }

  const fake: EcrFake = {
    host: front.host,
    endpoint: `http://${front.host}`,
    seen,
    fault: () => undefined,
    tokenSeconds: 43_200,
    expireTokens: () => tokens.expireAll(),
    now,
    elapse(seconds) {
      offsetMs += seconds * 1000;
    },
    async [Symbol.asyncDispose]() {
      await front[Symbol.asyncDispose]();
      await storage[Symbol.asyncDispose]();
    },
  };
  return fake;
}
