import { readFileSync } from 'node:fs';
import { createKanikoLogReader, type KanikoFacts } from '../../src/log/read-kaniko-log.ts';

/** What the reader makes of a log that kaniko v1.24.0 printed on a cluster (hosts renamed, a usage text shortened). */
export function factsOf(file: string, destination = 'registry.test:5000/log/x:a'): KanikoFacts {
  const reader = createKanikoLogReader({ destination });
  const log = readFileSync(new URL(`./kaniko-logs/${file}`, import.meta.url), 'utf8');
  for (const line of log.trimEnd().split('\n')) reader.read(line);
  return reader.facts();
}
