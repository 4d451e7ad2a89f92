import { describe, expect, it } from 'vitest';
import { readTar } from '../src/files/read-tar.ts';
import { tar } from './support/archive.ts';

const limits = { bytes: 1_000_000, entries: 100 };
const never = new AbortController().signal;

/** An archive of which no more comes after its first `bytes`. */
async function* stalled(bytes: number): AsyncGenerator<Uint8Array> {
  yield (await tar({ file: 'x'.repeat(10_000) })).subarray(0, bytes);
  await new Promise(() => {});
}

async function readAll(_header: unknown, body: AsyncIterable<Uint8Array>): Promise<void> {
  for await (const _ of body);
}

describe('an archive that takes too long', () => {
  it.each([
    ['before its first entry', 100],
    ['within an entry', 2_000],
    ['before its end', 512 + 10_240],
  ])('%s is given up by the clock, and is the tenant’s fault', async (_, bytes) => {
    const bounds = { ...limits, unpackSeconds: 0.01 };
    await expect(readTar(stalled(bytes), bounds, readAll, never)).rejects.toMatchObject({
      reason: 'user_error',
      message: 'an archive takes longer than 0.01 s to unpack',
    });
  });

  it('is left alone by a clock that has time, and ends with its caller', async () => {
    const caller = new AbortController();
    const reading = readTar(
      stalled(2_000),
      { ...limits, unpackSeconds: 600 },
      async () => caller.abort(),
      caller.signal,
    );
    await expect(reading).rejects.toMatchObject({ code: 'aborted' });
  });

  it('is told from one that its caller has given up at the same time', async () => {
    const reading = readTar(
      stalled(100),
      { ...limits, unpackSeconds: 0.01 },
      readAll,
      AbortSignal.abort(),
    );
    await expect(reading).rejects.toMatchObject({ code: 'aborted' });
  });
});
