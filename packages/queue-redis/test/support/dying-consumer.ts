import { createRedisQueue } from '@cygni/queue-redis';

/** A program that takes one build's message, says so, and never finishes with it. */
const [url = '', prefix = ''] = process.argv.slice(2);
const log = { debug() {}, info() {}, warn() {}, error() {} };
const queue = createRedisQueue({ url, prefix, redeliverySeconds: 1 });
await queue.consume(
  'build',
  () => {
    process.stdout.write('in hand\n');
    return new Promise(() => {});
  },
  { concurrency: 1, redeliveryDelayMs: 1, maximumDeliveries: 3, onDeadLetter() {} },
  { signal: new AbortController().signal, log },
);
