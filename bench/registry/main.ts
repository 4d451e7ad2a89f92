import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeImage } from './image.ts';
import { type Round, round } from './round.ts';
import { serveDebian, serveEmbedded } from './servers.ts';

/**
 * Push and pull of a 1 GiB image of 10 layers: the embedded registry against Debian's docker-registry,
 * by curl, three layers at once, on the same disk, by turns, each of them first in every other round. A round's ratio
 * is of its own two measurements; the median of these counts, and their range says how far to trust it.
 * Ends with 1 where the embedded one is slower, or needs more memory than it may.
 *
 * "Memory flat under 100 MB" is taken to mean what the server's resident size grows by over that of the idle process,
 * from its start to its peak, and in MiB: Node with its modules takes some 100 MiB before the first byte. The whole
 * resident size at its peak is printed beside it.
 */
/** The first argument, where a busy machine should be spared; an odd number has a median of its own. */
const rounds = Number(process.argv[2] ?? 5);
const layers = 10;
const layerBytes = Math.floor(1024 ** 3 / layers);
const maximumGrowth = 100;

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
    const debianFirst = index % 2 === 0;
    if (debianFirst) debian.push(await round(serveDebian, image, parent));
    embedded.push(await round(serveEmbedded, image, parent));
    if (!debianFirst) debian.push(await round(serveDebian, image, parent));
    report(`round ${index + 1}, docker-registry`, debian.at(-1));
    report(`round ${index + 1}, embedded       `, embedded.at(-1));
  }
  const push = compare('push', (each) => each.pushSeconds);
  const pull = compare('pull', (each) => each.pullSeconds);
  compare('push, processor time of the server', (each) => each.pushCpuSeconds);
  compare('pull, processor time of the server', (each) => each.pullCpuSeconds);
  const growth = Math.max(...embedded.map((each) => each.memoryGrowth));
  const peak = Math.max(...embedded.map((each) => each.memoryPeak));
  print(
    `memory: grew by at most ${growth.toFixed(0)} MiB (allowed: ${maximumGrowth}), to ${peak.toFixed(0)} MiB resident in all`,
  );
  process.exitCode = push >= 1 && pull >= 1 && growth < maximumGrowth ? 0 : 1;

  function compare(what: string, value: (round: Round) => number): number {
    const ratios = debian.map((each, index) => {
      const other = embedded[index];
      return other ? value(each) / value(other) : Number.NaN;
    });
    const [least, middle, most] = [Math.min(...ratios), median(ratios), Math.max(...ratios)];
    const range = `${least.toFixed(2)} to ${most.toFixed(2)}`;
    print(`${what}: ${middle.toFixed(2)} times as fast as docker-registry (median; ${range})`);
    return middle;
  }
} finally {
  await rm(parent, { recursive: true, force: true });
}

function report(name: string, each: Round | undefined): void {
  if (!each) return;
  const { pushSeconds, pullSeconds, pushCpuSeconds, pullCpuSeconds, memoryGrowth, memoryPeak } =
    each;
  print(
    `${name}  push ${pushSeconds.toFixed(2)} s (server's processor ${pushCpuSeconds.toFixed(2)} s)  pull ${pullSeconds.toFixed(2)} s (${pullCpuSeconds.toFixed(2)} s)  memory +${memoryGrowth.toFixed(0)} to ${memoryPeak.toFixed(0)} MiB`,
  );
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
