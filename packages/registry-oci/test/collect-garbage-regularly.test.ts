import { rename } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Collected, collectGarbageRegularly } from '../src/index.ts';
import { type Embedded, embedded } from './support/embedded.ts';
import { imageSaying, sha256 } from './support/image.ts';
import { pushImage } from './support/push.ts';

const image = imageSaying('kept');
const hour = 60 * 60 * 1000;

function manifestFile(registry: Embedded): string {
  const hex = sha256(image.manifest).slice('sha256:'.length);
  return path.join(registry.directory, 'blobs', 'sha256', hex.slice(0, 2), hex);
}

describe('collecting garbage regularly', () => {
  it('goes on after a collection that failed, which it logs', async () => {
    await using registry = await embedded();
    await pushImage(registry, 'acme/site', 'one', image);
    await rename(manifestFile(registry), `${manifestFile(registry)}.away`);
    const stopping = new AbortController();
    const rounds: (Collected | undefined)[] = [];
    const warned: object[] = [];
    await collectGarbageRegularly(registry.server, {
      ...{ intervalMs: 1, timeoutMs: hour, signal: stopping.signal },
      log: { debug() {}, info() {}, warn: (fields) => warned.push(fields), error() {} },
      onCollection(collected) {
        rounds.push(collected);
        if (rounds.length > 1) stopping.abort();
      },
    });
    expect(rounds).toEqual([undefined, undefined]);
    expect(warned).toMatchObject([{ err: { code: 'integrity' } }, { err: { code: 'integrity' } }]);
  });

  it('breaks a collection off that takes too long', async () => {
    const stopping = new AbortController();
    const rounds: unknown[] = [];
    const hanging = {
      collectGarbage: ({ signal }: { readonly signal: AbortSignal }) =>
        new Promise<never>((_, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason));
        }),
    };
    await collectGarbageRegularly(hanging, {
      ...{ intervalMs: hour, timeoutMs: 1, signal: stopping.signal },
      log: { debug() {}, info() {}, warn() {}, error() {} },
      onCollection(collected) {
        rounds.push(collected);
        stopping.abort();
      },
    });
    expect(rounds).toEqual([undefined]);
  });

  it('ends in the pause between two collections when it is told to', async () => {
    await using registry = await embedded();
    const stopping = new AbortController();
    await collectGarbageRegularly(registry.server, {
      ...{ intervalMs: hour, timeoutMs: hour, signal: stopping.signal },
      log: { debug() {}, info() {}, warn() {}, error() {} },
      onCollection: () => setImmediate(() => stopping.abort()),
    });
    expect(stopping.signal.aborted).toBe(true);
  });
});
