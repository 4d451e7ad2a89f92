import { writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';

const settleMs = 3_000;

/**
 * Lets the kernel forget the memory groups of containers that are gone. Each lives on while the page cache holds a page
 * that it read first, and thousands of them slow down whatever starts: 300 more with each round of 60 builds, seen on
 * cgroup v1. Where this process may not, or the cluster is on another machine, it changes nothing.
 */
export async function forgetEndedContainers(): Promise<void> {
  // Until what the round before left is cleaned up.
  await delay(settleMs);
  await writeFile('/proc/sys/vm/drop_caches', '3').catch((error: unknown) => {
    process.stderr.write(`the page cache stays: ${error}\n`);
  });
}
