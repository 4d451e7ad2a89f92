import {
  type ArtifactStore,
  CygniError,
  createMemoryArtifactStore,
  isCygniError,
  type LogLine,
} from '@cygni/core';
import { describe, expect, it } from 'vitest';
import { testCall } from '../fixtures/call.ts';
import { followLines } from '../fixtures/follow-lines.ts';
import { createScriptedPipeline } from '../fixtures/scripted-pipeline.ts';
import { knownDigest } from '../fixtures/scripted-registry.ts';
import { startPlatform, type TestPlatform } from '../fixtures/start-platform.ts';

const printed = [
  ...Array.from({ length: 1_500 }, (_, index) => `line ${index}`),
  'with \u2028, \u{1f680}, "quotes" and \\ in it',
];
const pipeline = createScriptedPipeline(async (_job, run) => {
  for (const text of printed) run.print(text);
  return { status: 'succeeded', digest: knownDigest, sizeBytes: 1, cache: null };
});

/** The memory artifacts, with other answers to some calls. */
function artifactsWith(changes: (memory: ArtifactStore) => Partial<ArtifactStore>): ArtifactStore {
  const memory = createMemoryArtifactStore();
  return { ...memory, ...changes(memory) };
}

function archived(test: TestPlatform, id: string): Promise<string> {
  return test.until(async () => {
    return (await test.store.getLogArchive('acme', id, testCall())) ?? undefined;
  });
}

async function follow(test: TestPlatform, id: string, after = 0): Promise<LogLine[]> {
  return Array.fromAsync(followLines(test, 'acme', id, after));
}

async function logKeys(artifacts: ArtifactStore): Promise<string[]> {
  const found = await Array.fromAsync(artifacts.list('acme/logs/', testCall()));
  return found.map(({ key }) => key);
}

describe('the log of a build that has ended', () => {
  it('reads the same from the artifacts as it did from the store', async () => {
    await using test = await startPlatform({ pipeline });
    const id = await test.build('acme');
    const live = await follow(test, id);
    expect(live.map(({ text }) => text)).toEqual(printed);
    await archived(test, id);
    const page = { after: 0, limit: 10 };
    expect(await test.store.readLog('acme', id, page, testCall())).toEqual([]);

    expect(await follow(test, id)).toEqual(live);
    expect(await follow(test, id, 1_490)).toEqual(live.slice(1_490));
    const read = (after: number, limit: number) =>
      test.platform.builds.readLog('acme', id, { after, limit }, testCall());
    expect(await read(0, 10)).toEqual(live.slice(0, 10));
    expect(await read(1_499, 10)).toEqual(live.slice(1_499));
    expect(await read(1_501, 10)).toEqual([]);
  });

  it('is followed from the store into the artifacts without a gap', async () => {
    let open = () => {};
    const opened = new Promise<void>((resolve) => {
      open = resolve;
    });
    const artifacts = artifactsWith((memory) => ({
      async put(key, body, options, call) {
        if (key.includes('/logs/')) await opened;
        return memory.put(key, body, options, call);
      },
    }));
    await using test = await startPlatform({ pipeline, artifacts });
    const id = await test.build('acme');
    const seen: string[] = [];
    for await (const { text } of followLines(test, 'acme', id)) {
      seen.push(text);
      if (seen.length === 100) {
        open();
        await archived(test, id);
      }
    }
    expect(seen).toEqual(printed);
  });

  it('stays in the store while the artifacts refuse it, and is archived once', async () => {
    let refusals = 0;
    const artifacts = artifactsWith((memory) => ({
      async put(key, body, options, call) {
        if (!key.includes('/logs/') || refusals === 2) return memory.put(key, body, options, call);
        refusals += 1;
        throw new CygniError('unavailable', 'the disk is full');
      },
    }));
    await using test = await startPlatform({
      pipeline,
      artifacts,
      settings: { logArchiveSeconds: 1 },
    });
    const id = await test.build('acme');
    expect((await follow(test, id)).map(({ text }) => text)).toEqual(printed);
    const key = await archived(test, id);
    expect(refusals).toBe(2);
    expect(await logKeys(artifacts)).toEqual([key]);
    expect((await follow(test, id)).map(({ text }) => text)).toEqual(printed);
  });

  it('is whole, and there once, when the first archiver died after it had written it', async () => {
    let deaths = 0;
    const artifacts = artifactsWith((memory) => ({
      async put(key, body, options, call) {
        const stored = await memory.put(key, body, options, call);
        if (!key.includes('/logs/') || deaths === 1) return stored;
        deaths += 1;
        throw new CygniError('aborted', 'gone before the answer came');
      },
    }));
    await using test = await startPlatform({
      pipeline,
      artifacts,
      settings: { logArchiveSeconds: 1, pruneIntervalSeconds: 0.1 },
    });
    const id = await test.build('acme');
    const key = await archived(test, id);
    await test.until(async () => (await logKeys(artifacts)).length === 1 || undefined);
    expect(await logKeys(artifacts)).toEqual([key]);
    expect((await follow(test, id)).map(({ text }) => text)).toEqual(printed);
  });

  it('is said to be damaged when its artifact is cut short or lost', async () => {
    await using test = await startPlatform({ pipeline });
    const id = await test.build('acme');
    const key = await archived(test, id);
    const whole = Buffer.concat(await Array.fromAsync(await test.artifacts.get(key, testCall())));
    async function* half() {
      yield whole.subarray(0, whole.length / 2);
    }
    const isDamaged = (error: unknown) => isCygniError(error, 'integrity');
    await test.artifacts.put(key, half(), { maximumBytes: 1_000_000 }, testCall());
    await expect(follow(test, id)).rejects.toSatisfy(isDamaged);
    await test.artifacts.delete(key, testCall());
    await expect(follow(test, id)).rejects.toSatisfy(isDamaged);
  });
});
