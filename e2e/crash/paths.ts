import { join } from 'node:path';

/** Where the processes of one run meet. */
export function pathsIn(directory: string) {
  return {
    database: join(directory, 'postgres'),
    artifacts: join(directory, 'artifacts'),
    images: join(directory, 'images'),
    logs: join(directory, 'logs'),
    compileCache: join(directory, 'compiled'),
    trace: join(directory, 'trace.jsonl'),
    redis: join(directory, 'redis'),
  };
}
