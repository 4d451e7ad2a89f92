import type { BuildJob } from '@cygni/core';
import { buildContainer } from '../job/manifest.ts';
import type { KanikoSettings } from '../options.ts';
import type { FailureEvidence } from '../outcome/failure-of.ts';

/** What is known of a run that failed, over what its job says. */
export function failureEvidence(
  job: BuildJob,
  settings: KanikoSettings,
  known: Partial<FailureEvidence>,
): FailureEvidence {
  const { memory, ephemeralStorage } = settings.machines[job.machine];
  return {
    endedBy: null,
    timeoutSeconds: job.timeoutSeconds,
    machine: {
      name: job.machine,
      memory: quantityInWords(memory),
      disk: quantityInWords(ephemeralStorage),
    },
    dockerfile: job.dockerfile,
    container: buildContainer,
    refusal: null,
    podRefusal: null,
    pod: null,
    job: null,
    jobVanished: false,
    clusterUnreachable: false,
    facts: null,
    ...known,
  };
}

/** `2Gi` as `2 GiB`. */
function quantityInWords(quantity: string): string {
  return quantity.replace(/^([\d.]+)([KMGT]i?)?$/i, (_, count, unit) => `${count} ${unit ?? ''}B`);
}
