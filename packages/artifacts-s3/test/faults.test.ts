import { randomBytes } from 'node:crypto';
import { ListMultipartUploadsCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import type { S3ArtifactStore } from '@cygni/artifacts-s3';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  type Fault,
  type FaultServer,
  type SeenRequest,
  startFaultServer,
} from './support/fault-server.ts';
import { type Moto, motoIsMissing, startMoto } from './support/moto.ts';
import { impatient, read, roomy, sha256, storeAt, streamOf, testCall } from './support/store.ts';

const large = randomBytes(20 * 1024 ** 2);

const isPut = ({ method, url }: SeenRequest) => method === 'PUT' && url.includes('PutObject');
const isPart = ({ method, url }: SeenRequest) => method === 'PUT' && url.includes('partNumber=');
const isCreation = ({ method, url }: SeenRequest) => method === 'POST' && url.includes('uploads');
const isCompletion = ({ method, url }: SeenRequest) =>
  method === 'POST' && url.includes('uploadId=');
const isGet = ({ method }: SeenRequest) => method === 'GET';

const replacement = new PutObjectCommand({ Bucket: 'artifacts', Key: 'acme/a', Body: 'other' });

/** Once, or `times`, for requests that match. */
function faultFor(matches: (request: SeenRequest) => boolean, fault: Fault, times = 1) {
  let left = times;
  return (request: SeenRequest) => {
    if (left === 0 || !matches(request)) return undefined;
    left -= 1;
    return fault;
  };
}

describe.skipIf(motoIsMissing)('faults between the store and S3 as moto plays it', () => {
  let moto: Moto;
  let server: FaultServer;
  let store: S3ArtifactStore;
  beforeAll(async () => {
    moto = await startMoto();
    await moto.createBucket('artifacts');
  });
  afterAll(() => moto?.[Symbol.asyncDispose]());
  beforeEach(async () => {
    server = await startFaultServer(moto.endpoint);
    store = storeAt({ endpoint: server.endpoint });
  });
  afterEach(async () => {
    server.fault = () => undefined;
    await store.deleteByPrefix('', testCall());
    await store.close();
    await server[Symbol.asyncDispose]();
  });

  const put = (body: string | Uint8Array, options: object = {}) =>
    store.put('acme/a', streamOf(body), { ...roomy, ...options }, testCall());
  const count = (matches: (request: SeenRequest) => boolean) => server.seen.filter(matches).length;
  async function uploads() {
    const command = new ListMultipartUploadsCommand({ Bucket: 'artifacts' });
    return (await moto.client.send(command)).Uploads ?? [];
  }

  const passing: Readonly<Record<string, Fault>> = {
    'is cut': { kind: 'cut' },
    'is answered by a load balancer': {
      kind: 'answer',
      status: 502,
      headers: { 'content-type': 'text/html' },
      body: '<html><body>Bad gateway</body></html>',
    },
    'is told to slow down': {
      kind: 'answer',
      status: 503,
      body: '<Error><Code>SlowDown</Code><Message>Reduce your rate</Message></Error>',
    },
  };
  for (const [how, fault] of Object.entries(passing)) {
    it(`repeats whatever request of a small put ${how}`, async () => {
      server.fault = faultFor(isPut, fault, 2);
      await put('hello');
      expect(count(isPut)).toBe(3);
      expect((await read(store, 'acme/a')).toString()).toBe('hello');
    });

    it(`repeats one part of a large put that ${how}, not all of it`, async () => {
      server.fault = faultFor(isPart, fault);
      const stored = await put(large);
      expect(stored.sha256).toBe(sha256(large));
      expect(count(isPart)).toBe(5);
      expect(sha256(await read(store, 'acme/a'))).toBe(sha256(large));
    });
  }

  it('repeats a request that is not answered in time', async () => {
    const hasty = storeAt({ endpoint: server.endpoint, timeouts: impatient });
    server.fault = faultFor(isPut, { kind: 'hang' });
    await hasty.put('acme/a', streamOf('hello'), roomy, testCall());
    expect(count(isPut)).toBe(2);
    await hasty.close();
  });

  it('gives up after a bounded number of tries, saying that it may be tried later', async () => {
    server.fault = (request) => (isPut(request) ? { kind: 'cut' } : undefined);
    const failed = await put('hello').catch((error) => error);
    expect(failed).toMatchObject({ code: 'unavailable', retryable: true });
    expect(failed.cause).toBeInstanceOf(Error);
    expect(count(isPut)).toBe(4);
  });

  it('says that nobody answered in time', async () => {
    server.fault = () => ({ kind: 'hang' });
    const hasty = storeAt({
      endpoint: server.endpoint,
      timeouts: impatient,
      retry: { retries: 0 },
    });
    const get = hasty.get('acme/a', testCall());
    await expect(get).rejects.toMatchObject({ code: 'timeout', retryable: true });
    await hasty.close();
  });

  it('says that nobody is there', async () => {
    const nowhere = storeAt({ endpoint: 'http://127.0.0.1:1' });
    const get = nowhere.get('acme/a', testCall());
    await expect(get).rejects.toMatchObject({ code: 'unavailable', retryable: true });
    await nowhere.close();
  });

  it('waits as long as the store asks for', async () => {
    const slow: Fault = {
      kind: 'answer',
      status: 503,
      headers: { 'retry-after': '1' },
      body: '<Error><Code>SlowDown</Code></Error>',
    };
    server.fault = faultFor(isPut, slow);
    const delays: unknown[] = [];
    const call = testCall();
    const log = { ...call.log, debug: (fields: object) => delays.push(fields) };
    await store.put('acme/a', streamOf('x'), roomy, { ...call, log });
    // Its own longest delay is 10 ms.
    const aSecond = expect.closeTo(1_000, -2);
    expect(delays).toEqual([expect.objectContaining({ attempt: 1, delayMs: aSecond })]);
    expect(count(isPut)).toBe(2);
  });

  it('gives up at once where the store asks for too long', async () => {
    const slow: Fault = { kind: 'answer', status: 503, headers: { 'retry-after': '3600' } };
    server.fault = faultFor(isPut, slow);
    await expect(put('x')).rejects.toMatchObject({ code: 'unavailable', retryable: true });
    expect(count(isPut)).toBe(1);
  });

  describe('an upload in parts', () => {
    it('sends them over connections that it has', async () => {
      await put(large);
      expect(count(isPart)).toBe(4);
      expect(server.connections()).toBeLessThanOrEqual(2);
    });

    it('is removed when a part cannot be stored, and reads no more of its body', async () => {
      const denied: Fault = {
        kind: 'answer',
        status: 403,
        body: '<Error><Code>AccessDenied</Code><Message>no</Message></Error>',
      };
      server.fault = faultFor((seen) => isPart(seen) && seen.url.includes('partNumber=2'), denied);
      let given = 0;
      let ended = false;
      async function* body() {
        try {
          for (; given < 100; given += 1) yield large.subarray(0, 4 * 1024 ** 2);
        } finally {
          ended = true;
        }
      }
      const failing = store.put('acme/a', body(), roomy, testCall());
      await expect(failing).rejects.toMatchObject({ code: 'forbidden', retryable: false });
      expect(ended).toBe(true);
      expect(given).toBeLessThan(20);
      expect(await uploads()).toEqual([]);
    });

    it('is removed when it is aborted while parts are under way', async () => {
      const abort = new AbortController();
      server.fault = (request) => {
        if (!isPart(request)) return undefined;
        abort.abort();
        return { kind: 'hang' };
      };
      const aborted = store.put('acme/a', streamOf(large), roomy, testCall(abort.signal));
      await expect(aborted).rejects.toMatchObject({ code: 'aborted' });
      expect(await uploads()).toEqual([]);
    });

    it('is removed also when the first request to remove it fails', async () => {
      const denied: Fault = { kind: 'answer', status: 403 };
      server.fault = (request) => {
        if (isPart(request)) return denied;
        return removal(request);
      };
      const removal = faultFor(({ method }) => method === 'DELETE', { kind: 'cut' });
      await expect(put(large)).rejects.toMatchObject({ code: 'forbidden' });
      expect(await uploads()).toEqual([]);
    });

    it('is stored although the answer to its completion was lost', async () => {
      server.fault = faultFor(isCompletion, { kind: 'loseAnswer' });
      expect((await put(large)).sizeBytes).toBe(large.byteLength);
      expect(sha256(await read(store, 'acme/a'))).toBe(sha256(large));
      expect(count(isCompletion)).toBe(2);
    });

    it('is not believed when its completion says 200 and means an error', async () => {
      const body = '<Error><Code>InternalError</Code><Message>try again</Message></Error>';
      server.fault = faultFor(isCompletion, { kind: 'answer', status: 200, body });
      await put(large);
      expect(count(isCompletion)).toBe(2);
      expect(sha256(await read(store, 'acme/a'))).toBe(sha256(large));
    });

    it('starts once more when the answer to its creation was lost', async () => {
      server.fault = faultFor(isCreation, { kind: 'cut' });
      await put(large);
      expect(sha256(await read(store, 'acme/a'))).toBe(sha256(large));
    });
  });

  describe('a put whose last answer was lost', () => {
    it('knows its own artifact where nothing may be there', async () => {
      for (const body of ['small', large]) {
        const lost = body === large ? isCompletion : isPut;
        server.fault = faultFor(lost, { kind: 'loseAnswer' });
        await store.delete('acme/a', testCall());
        const stored = await put(body, { ifAbsent: true });
        expect(stored.sha256).toBe(sha256(body));
      }
    });

    it("does not take another's artifact for its own", async () => {
      await put('theirs');
      server.fault = faultFor(isPut, { kind: 'loseAnswer' });
      await expect(put('ours', { ifAbsent: true })).rejects.toMatchObject({ code: 'conflict' });
      expect((await read(store, 'acme/a')).toString()).toBe('theirs');
    });

    it('removes what was stored when it fails after all and nothing was there before', async () => {
      for (const body of ['small', large]) {
        const lost = body === large ? isCompletion : isPut;
        server.fault = (request) => (lost(request) ? { kind: 'loseAnswer' } : undefined);
        await expect(put(body, { ifAbsent: true })).rejects.toMatchObject({ code: 'unavailable' });
        expect(await Array.fromAsync(store.list('', testCall()))).toEqual([]);
      }
    });

    it('never leaves nothing where something was, whether or not it was replaced', async () => {
      for (const body of ['small', large]) {
        const lost = body === large ? isCompletion : isPut;
        for (const kind of ['loseAnswer', 'cut'] as const) {
          server.fault = () => undefined;
          await put('before');
          server.fault = (request) => (lost(request) ? { kind } : undefined);
          await expect(put(body)).rejects.toMatchObject({ code: 'unavailable', retryable: true });
          const left = sha256(await read(store, 'acme/a'));
          expect(left).toBe(sha256(kind === 'cut' ? 'before' : body));
        }
      }
      expect(count(({ method, url }) => method === 'DELETE' && !url.includes('uploadId'))).toBe(0);
    });

    it("does not remove another's artifact that took the place of its own", async () => {
      server.fault = (request) => {
        if (isPut(request)) return { kind: 'loseAnswer' };
        return request.method === 'DELETE' ? replaced : undefined;
      };
      // Between the look at whose it is and the removal.
      const replaced: Fault = { kind: 'after', do: () => moto.client.send(replacement) };
      await expect(put('ours', { ifAbsent: true })).rejects.toMatchObject({ code: 'unavailable' });
      expect((await read(store, 'acme/a')).toString()).toBe('other');
    });

    it("leaves another's artifact where it is when it fails after all", async () => {
      await put('theirs');
      server.fault = (request) => (isPut(request) ? { kind: 'cut' } : undefined);
      await expect(put('ours')).rejects.toMatchObject({ code: 'unavailable' });
      expect((await read(store, 'acme/a')).toString()).toBe('theirs');
    });
  });

  describe('a download', () => {
    beforeEach(() => put(large));

    it('goes on where it was when its answer is cut', async () => {
      server.fault = faultFor(isGet, { kind: 'cutAnswer', afterBytes: 5_000_000 }, 3);
      expect(sha256(await read(store, 'acme/a'))).toBe(sha256(large));
      const gets = server.seen.filter(isGet);
      const ranges = gets.map(({ headers }) => headers.range);
      expect(ranges).toEqual([undefined, ...Array(3).fill(expect.stringMatching(/^bytes=\d+-$/))]);
      expect(new Set(gets.map(({ headers }) => headers['if-match'])).size).toBe(1);
    });

    it('goes on where it was when its answer stalls', async () => {
      const hasty = storeAt({ endpoint: server.endpoint, timeouts: impatient });
      server.fault = faultFor(isGet, { kind: 'stallAnswer', afterBytes: 5_000_000 });
      expect(sha256(await read(hasty, 'acme/a'))).toBe(sha256(large));
      expect(count(isGet)).toBe(2);
      await hasty.close();
    });

    it('gives up when it gets no further', async () => {
      const cut: Fault = { kind: 'cutAnswer', afterBytes: 0 };
      server.fault = (request) => (isGet(request) ? cut : undefined);
      await expect(read(store, 'acme/a')).rejects.toMatchObject({ code: 'unavailable' });
      expect(count(isGet)).toBe(4);
    });

    it('never mixes two artifacts when it is replaced in between', async () => {
      server.fault = faultFor(isGet, { kind: 'cutAnswer', afterBytes: 5_000_000 });
      const body = await store.get('acme/a', testCall());
      const reading = (async () => {
        let replaced = false;
        for await (const _ of body) {
          if (!replaced) await moto.client.send(replacement);
          replaced = true;
        }
      })();
      await expect(reading).rejects.toMatchObject({ code: 'conflict' });
    });

    it('ends at once when its reader leaves while no byte comes', async () => {
      server.fault = faultFor(isGet, { kind: 'stallAnswer', afterBytes: 10 });
      const patient = storeAt({
        endpoint: server.endpoint,
        timeouts: { idleMs: 600_000, requestMs: 600_000 },
      });
      const chunks = (await patient.get('acme/a', testCall()))[Symbol.asyncIterator]();
      expect((await chunks.next()).value).toHaveLength(10);
      const stalled = chunks.next();
      stalled.catch(() => {});
      await chunks.return?.();
      await expect(stalled).rejects.toMatchObject({ code: 'aborted' });
      await patient.close();
    });
  });
});
