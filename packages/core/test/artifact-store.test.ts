import { createHash } from 'node:crypto';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type ArtifactStore,
  createDiskArtifactStore,
  createMemoryArtifactStore,
  isCygniError,
} from '@cygni/core';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { testCall } from './fixtures/call.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cygni-artifacts-'));
});
afterEach(() => rm(directory, { recursive: true }));

async function* streamOf(...parts: readonly string[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield Buffer.from(part);
}

async function textOf(stream: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

const roomy = { maximumBytes: 1_000 };
const stores: Readonly<Record<string, () => ArtifactStore>> = {
  memory: createMemoryArtifactStore,
  disk: () => createDiskArtifactStore({ directory }),
};

describe.each(Object.entries(stores))('the %s artifact store', (_name, create) => {
  let store: ArtifactStore;
  beforeEach(async () => {
    store = create();
    await store.open(testCall());
  });

  it('gives back what was streamed in, with its size and hash', async () => {
    const stored = await store.put('acme/a', streamOf('hel', 'lo'), roomy, testCall());
    expect(stored.sizeBytes).toBe(5);
    expect(stored.sha256).toBe(createHash('sha256').update('hello').digest('hex'));
    expect(await textOf(await store.get('acme/a', testCall()))).toBe('hello');
  });

  it('lists by prefix and deletes, also what is not there', async () => {
    await store.put('acme/a', streamOf('1'), roomy, testCall());
    await store.put('other/b', streamOf('2'), roomy, testCall());
    expect(await Array.fromAsync(store.list('acme/', testCall()))).toEqual([
      { key: 'acme/a', sizeBytes: 1 },
    ]);
    await store.delete('acme/a', testCall());
    await store.delete('acme/a', testCall());
    expect(await Array.fromAsync(store.list('acme/', testCall()))).toEqual([]);
  });

  it('keeps nothing of a stream that is too large, fails or is aborted', async () => {
    async function* failing() {
      yield Buffer.from('x');
      throw new Error('the client has gone');
    }
    const abort = new AbortController();
    async function* aborting() {
      yield Buffer.from('x');
      abort.abort();
      yield Buffer.from('y');
    }
    const tooLarge = store.put('acme/a', streamOf('12345'), { maximumBytes: 4 }, testCall());
    await expect(tooLarge).rejects.toSatisfy((error) => isCygniError(error, 'too_large'));
    await expect(store.put('acme/a', failing(), roomy, testCall())).rejects.toThrow('gone');
    const aborted = store.put('acme/a', aborting(), roomy, testCall(abort.signal));
    await expect(aborted).rejects.toSatisfy((error) => isCygniError(error, 'aborted'));
    await expect(store.get('acme/a', testCall())).rejects.toSatisfy((error) =>
      isCygniError(error, 'not_found'),
    );
  });
});

describe('the disk artifact store', () => {
  it.each(['../x', '/etc/passwd', 'a/../b', 'a//b', '.hidden', 'a\0b', ''])(
    'refuses the key %j',
    async (key) => {
      const store = createDiskArtifactStore({ directory });
      await store.open(testCall());
      await expect(store.put(key, streamOf('x'), roomy, testCall())).rejects.toSatisfy((error) =>
        isCygniError(error, 'invalid_input'),
      );
    },
  );

  it('finds its artifacts again, and drops what an earlier process was writing', async () => {
    const first = createDiskArtifactStore({ directory });
    await first.open(testCall());
    await first.put('acme/a', streamOf('kept'), roomy, testCall());
    await writeFile(join(directory, 'incoming', 'half'), 'ha');

    const second = createDiskArtifactStore({ directory });
    await second.open(testCall());
    expect(await textOf(await second.get('acme/a', testCall()))).toBe('kept');
    expect(await readdir(join(directory, 'incoming'))).toEqual([]);
  });
});
