export { createRedisQueue } from './create-redis-queue.ts';
export type { RedisQueueOptions } from './options.ts';
