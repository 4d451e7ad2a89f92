export interface Cost {
  readonly ms: number;
  readonly processorMs: number;
  /** Resident memory of the whole process at its highest, what it had when it began taken off. */
  readonly grownMegabytes: number;
  /** Buffers outside V8's heap at the most, with those that are not collected yet. */
  readonly buffersMegabytes: number;
}

const sampleEveryMs = 20;

export async function measured(work: () => Promise<unknown>): Promise<Cost> {
  const startBytes = process.memoryUsage.rss();
  let peakBytes = startBytes;
  let buffersBytes = 0;
  const watch = setInterval(() => {
    const { rss, arrayBuffers } = process.memoryUsage();
    peakBytes = Math.max(peakBytes, rss);
    buffersBytes = Math.max(buffersBytes, arrayBuffers);
  }, sampleEveryMs);
  const processor = process.cpuUsage();
  const start = performance.now();
  try {
    await work();
  } finally {
    clearInterval(watch);
  }
  const { user, system } = process.cpuUsage(processor);
  return {
    ms: performance.now() - start,
    processorMs: (user + system) / 1000,
    grownMegabytes: (peakBytes - startBytes) / 1e6,
    buffersMegabytes: buffersBytes / 1e6,
  };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
