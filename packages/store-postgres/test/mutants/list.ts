import { archives } from './lists/archives.ts';
import { builds } from './lists/builds.ts';
import { deployments } from './lists/deployments.ts';
import { money } from './lists/money.ts';
import { reads } from './lists/reads.ts';
import { recovery } from './lists/recovery.ts';
import { retention } from './lists/retention.ts';
import { schema } from './lists/schema.ts';
import { webhooks } from './lists/webhooks.ts';
import type { Mutant } from './mutant.ts';

export const mutants: readonly Mutant[] = [
  ...builds,
  ...deployments,
  ...money,
  ...recovery,
  ...retention,
  ...reads,
  ...archives,
  ...webhooks,
  ...schema,
];
