import type { Contender } from './contenders/contender.ts';

const batch = 100;
const patienceMs = 60_000;

/** Milliseconds from before each of `count` single enqueues to the start of its handler. */
export async function measureLatency(contender: Contender, count: number): Promise<number[]> {
  let started = (_id: string) => {};
  const consuming = await contender.consume(1, (id) => started(id));
  const latencies: number[] = [];
  try {
    // The first ones load scripts and compile code.
    for (let index = -50; index < count; index += 1) {
      const handed = Promise.withResolvers<void>();
      started = () => handed.resolve();
      const from = performance.now();
      await contender.enqueue([`latency-${index}`]);
      await within(handed.promise);
      if (index >= 0) latencies.push(performance.now() - from);
    }
  } finally {
    await consuming.stop();
  }
  return latencies;
}

export interface Throughput {
  /** Messages a second. */
  readonly enqueued: number;
  readonly handled: number;
  /** Both, one after the other. */
  readonly through: number;
  /** Microseconds a message, enqueued and handled: of this process, and of Redis. */
  readonly nodeCpu: number;
  readonly redisCpu: number;
}

/** Enqueues `count` messages, which are more than a batch, `concurrency` batches at once, and then has them handled. */
export async function measureThroughput(
  contender: Contender,
  concurrency: number,
  count: number,
  redisCpuOf: () => Promise<number>,
): Promise<Throughput> {
  const batches = Array.from({ length: count / batch }, (_, index) =>
    Array.from({ length: batch }, (_each, place) => `throughput-${index}-${place}`),
  );
  const redisBefore = await redisCpuOf();
  const nodeBefore = nodeCpuOf();
  const enqueueFrom = performance.now();
  await Promise.all(
    Array.from({ length: Math.min(concurrency, batches.length) }, async () => {
      for (let next = batches.pop(); next; next = batches.pop()) await contender.enqueue(next);
    }),
  );
  const enqueueMs = performance.now() - enqueueFrom;

  const seen = new Set<string>();
  const all = Promise.withResolvers<void>();
  let handleFrom = 0;
  const consuming = await contender.consume(concurrency, (id) => {
    seen.add(id);
    // Connecting and beginning to claim are not what is measured: a worker does that once, and each round here.
    if (seen.size === batch) handleFrom = performance.now();
    if (seen.size === count) all.resolve();
  });
  try {
    await within(all.promise);
    const handleMs = ((performance.now() - handleFrom) * count) / (count - batch);
    const perSecond = (ms: number) => (count / ms) * 1000;
    return {
      nodeCpu: (nodeCpuOf() - nodeBefore) / count,
      redisCpu: ((await redisCpuOf()) - redisBefore) / count,
      enqueued: perSecond(enqueueMs),
      handled: perSecond(handleMs),
      through: perSecond(enqueueMs + handleMs),
    };
  } finally {
    await consuming.stop();
  }
}

function nodeCpuOf(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}

async function within(promise: Promise<void>): Promise<void> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error('messages are missing')), patienceMs);
  try {
    await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
