import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Store } from '@cygni/core';
import type pg from 'pg';
import { type Builds, hotTenant, reservation } from './builds.ts';
import { call } from './call.ts';
import { compare, type Rates, type RoundOptions } from './rounds.ts';

setFlagsFromString('--expose-gc');
const collectGarbage: () => void = runInNewContext('gc');

/** As the log pump flushes. */
const linesOfChunk = 500;
/** Made beforehand; enough of them that what repeats is too far apart for any compression to find. */
const chunks = Array.from({ length: 40 }, (_, chunk) => chunkOf(chunk * linesOfChunk));
const megabyte = 1_000_000;
/** Until the heap has the size that it keeps. */
const warmUpSeconds = 12;

export interface LogFigures {
  /** Megabytes a second of log text, and of the same text in rows of a table that has nothing else. */
  readonly rates: Rates<'append' | 'bare'>;
  /** Of this process's memory, once it is warm, while so much was appended. */
  readonly growthMegabytes: number;
  readonly appendedMegabytes: number;
}

/** Lines of an ordinary build log, appended chunk by chunk by so many builds at once. */
export async function benchLogs(
  store: Store,
  pool: pg.Pool,
  builds: Builds,
  writers: number,
  options: RoundOptions,
): Promise<LogFigures> {
  await pool.query(
    `CREATE TABLE IF NOT EXISTS bare_log (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
                                          lines text STORAGE EXTERNAL NOT NULL)`,
  );
  const positions = new Map<string, number>();
  for (let writer = 0; writer < writers; writer += 1) positions.set(await runningBuild(), 0);
  let appended = 0;
  await append(warmUpSeconds);
  const [before, appendedBefore] = [residentMemory(), appended];
  const rates = await compare(
    {
      bare: (seconds) =>
        megabytesPerSecond(seconds, async () => {
          const { lines, bytes } = chunkAt(0);
          const values = [JSON.stringify(lines.map(({ time, text }) => [time, text]))];
          const text = 'INSERT INTO bare_log (lines) VALUES ($1)';
          await pool.query({ name: 'bare-log', text, values });
          return bytes;
        }),
      append,
    },
    options,
  );
  return {
    rates,
    growthMegabytes: (residentMemory() - before) / megabyte,
    appendedMegabytes: (appended - appendedBefore) / megabyte,
  };

  function append(seconds: number): Promise<number> {
    return megabytesPerSecond(seconds, async (id) => {
      const position = positions.get(id) ?? 0;
      const { lines, bytes } = chunkAt(position / linesOfChunk);
      const kept = await store.appendLog({ id, attempt: 1, position, lines }, call);
      if (!kept) throw new Error('a claim was lost');
      positions.set(id, position + linesOfChunk);
      appended += bytes;
      return bytes;
    });
  }

  async function runningBuild(): Promise<string> {
    const build = builds.make(hotTenant);
    await store.acceptBuild(build, reservation, null, call);
    await pool.query('UPDATE cygni.builds SET dispatched = true WHERE id = $1', [build.id]);
    await store.claimBuild(build.id, 3_600, call);
    return build.id;
  }

  async function megabytesPerSecond(
    seconds: number,
    write: (id: string) => Promise<number>,
  ): Promise<number> {
    const began = performance.now();
    let bytes = 0;
    await Promise.all(
      [...positions.keys()].map(async (id) => {
        while (performance.now() < began + seconds * 1_000) {
          const written = await write(id);
          bytes += written;
        }
      }),
    );
    return bytes / megabyte / ((performance.now() - began) / 1_000);
  }
}

function chunkAt(index: number): Chunk {
  const chunk = chunks[index % chunks.length];
  if (!chunk) throw new Error('there are no lines');
  return chunk;
}

/** Without what is garbage already: when that is collected is a matter of taste. */
function residentMemory(): number {
  collectGarbage();
  return process.memoryUsage.rss();
}

interface Chunk {
  readonly lines: readonly { readonly time: string; readonly text: string }[];
  readonly bytes: number;
}

function chunkOf(position: number): Chunk {
  const time = '2026-01-01T00:00:00.000Z';
  const lines = Array.from({ length: linesOfChunk }, (_, n) => ({
    time,
    text: textAt(position + n),
  }));
  return { lines, bytes: lines.reduce((sum, { text }) => sum + text.length + 1, 0) };
}

function textAt(position: number): string {
  const hash = Math.imul(position, 2_654_435_761) >>> 0;
  const version = `${hash % 20}.${hash % 7}.${hash % 13}-1`;
  return `#${position % 40} Get:${position} http://mirror.test/debian trixie/main amd64 package-${hash.toString(36)} amd64 ${version} [${hash % 90_000} kB] ${hash.toString(16)}`;
}
