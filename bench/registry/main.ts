import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeImage } from './image.ts';
import { type Round, round } from './round.ts';
import { serveDebian, serveEmbedded } from './servers.ts';

/**
 * Push and pull of a 1 GiB image of 10 layers: the embedded registry against Debian's docker-registry,
 * by the same client, on the same disk, by turns. Ends with 1 where the embedded one is slower, or
 * needs more memory than it may.
 */
const rounds = 3;
const layers = 10;
const layerBytes = Math.floor(1024 ** 3 / layers);
const maximumGrowth = 100;
/** What one and the same server differs by from one run to the next. */
const noise = 0.05;

const print = (line: string) => process.stdout.write(`${line}\n`);
const parent = await mkdtemp(join(tmpdir(), 'cygni-bench-registry-'));
try {
  const image = await writeImage(parent, layers, layerBytes);
  print(
    `${layers} layers, ${(image.sizeBytes / 1024 ** 3).toFixed(2)} GiB, ${rounds} rounds by turns`,
  );
  const embedded: Round[] = [];
  const debian: Round[] = [];
  for (let index = 0; index < rounds; index += 1) {
    debian.push(await round(serveDebian, image, parent));
    embedded.push(await round(serveEmbedded, image, parent));
    report(`round ${index + 1}, docker-registry`, debian.at(-1));
    report(`round ${index + 1}, embedded       `, embedded.at(-1));
  }
  const ratioOf = (value: (round: Round) => number) =>
    median(debian.map(value)) / median(embedded.map(value));
  const push = ratioOf((each) => each.pushSeconds);
  const pull = ratioOf((each) => each.pullSeconds);
  const growth = Math.max(...embedded.map((each) => each.memoryGrowth));
  print(`push: ${push.toFixed(2)} times as fast as docker-registry (median)`);
  print(`pull: ${pull.toFixed(2)} times as fast as docker-registry (median)`);
  print(`memory: grew by at most ${growth.toFixed(0)} MiB (allowed: ${maximumGrowth})`);
  process.exitCode = push > 1 - noise && pull > 1 - noise && growth < maximumGrowth ? 0 : 1;
} finally {
  await rm(parent, { recursive: true, force: true });
}

function report(name: string, each: Round | undefined): void {
  if (!each) return;
  const { pushSeconds, pullSeconds, pushCpuSeconds, pullCpuSeconds, memoryGrowth } = each;
  print(
    `${name}  push ${pushSeconds.toFixed(2)} s (server's processor ${pushCpuSeconds.toFixed(2)} s)  pull ${pullSeconds.toFixed(2)} s (${pullCpuSeconds.toFixed(2)} s)  memory +${memoryGrowth.toFixed(0)} MiB`,
  );
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
