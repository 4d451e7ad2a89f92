import { Redis } from 'ioredis';

/** Leaves nothing of a test's queue in a Redis that is not the tests' own. */
export async function removeKeys(url: string, prefix: string): Promise<void> {
  const client = new Redis(url);
  client.on('error', () => {});
  try {
    for await (const keys of client.scanStream({ match: `*${prefix}*`, count: 1000 })) {
      if (keys.length > 0) await client.unlink(keys);
    }
  } finally {
    client.disconnect();
  }
}
