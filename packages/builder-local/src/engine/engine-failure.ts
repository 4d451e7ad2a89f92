import { BuildFault } from '../build-fault.ts';
import type { ProcessResult } from './run-process.ts';

const pull =
  /manifest unknown|name unknown|unauthorized|authentication required|access denied|requested access|initializing source|reading manifest|pinging container registry|unable to copy from source|error creating build container|failed to resolve source metadata|pull access denied|short-name|image not known|no such image/i;
const platform =
  /no space left|creating container for|cannot connect to the docker daemon|netavark|aardvark|cgroup|permission denied.*(?:storage|overlay)|mounting|newuidmap|oci runtime/i;
const user =
  /building at step|while running runtime|exit(?: status| code:?) [0-9]+|dockerfile|unknown instruction|not found|no such file|no items matching|failed to compute cache key|parsing|build arg|target stage|stage/i;

/**
 * What an engine's own last words say about whose fault a failure is.
 * Only the last line counts: those before may have been written by a RUN.
 */
export function engineFailure(engine: string, { exitCode, lastLines }: ProcessResult): BuildFault {
  const last = lastLines.findLast((line) => line.trim() !== '')?.trim() ?? '';
  const how = exitCode === null ? 'was ended by a signal' : `ended with exit code ${exitCode}`;
  const message = last === '' ? `${engine} ${how}` : last.replace(/^error:\s*/i, '');
  if (exitCode === null) return new BuildFault('platform_error', `${engine} ${how}`);
  if (platform.test(last)) return new BuildFault('platform_error', message);
  if (pull.test(last)) return new BuildFault('image_pull', message);
  if (user.test(last)) return new BuildFault('user_error', message);
  return new BuildFault('platform_error', message);
}
