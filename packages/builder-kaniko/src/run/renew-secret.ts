import { setTimeout as delay } from 'node:timers/promises';
import type { BuildJob, Call } from '@cygni/core';
import type { BuildSecrets } from '../job/secret.ts';
import { secretData, secretManifest } from '../job/secret.ts';
import { obtainSecrets, renewalDelayMs, withBaseImages } from './build-secrets.ts';
import type { LogRedactor } from './redact.ts';
import type { RunContext } from './run-context.ts';

const retryMs = 15_000;

/** Writes the Secret of a run, and keeps a log from telling what is in it. */
export async function putSecrets(
  job: BuildJob,
  uid: string,
  secrets: BuildSecrets,
  { objects, settings }: RunContext,
  redactor: LogRedactor,
  call: Call,
): Promise<void> {
  const { credentials, baseImages } = secrets;
  for (const { password } of [...credentials.values(), ...baseImages.values()]) {
    redactor.hide(password);
  }
  const data = secretData(job, secrets, settings);
  await objects.putSecret(secretManifest(job, { uid }, data, settings.namespace), call);
}

/** Renews what a run was told before it expires, until the call is aborted. */
export async function keepSecretsFresh(
  job: BuildJob,
  uid: string,
  first: BuildSecrets,
  context: RunContext,
  redactor: LogRedactor,
  call: Call,
): Promise<void> {
  let secrets = first;
  const baseImages = [...first.baseImages.keys()];
  for (;;) {
    const wait = renewalDelayMs(secrets, Date.now());
    if (wait === null) return;
    await delay(wait, undefined, { signal: call.signal });
    try {
      const obtained = await obtainSecrets(job, context.registry, context.settings, call);
      secrets = await withBaseImages(obtained, baseImages, context.registry, call);
      await putSecrets(job, uid, secrets, context, redactor, call);
    } catch (error) {
      if (call.signal.aborted) return;
      call.log.warn({ err: error, buildId: job.buildId }, 'credentials could not be renewed');
      await delay(retryMs, undefined, { signal: call.signal });
    }
  }
}
