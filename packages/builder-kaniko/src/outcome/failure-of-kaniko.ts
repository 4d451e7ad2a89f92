import type { KanikoFacts, KanikoFailure } from '../log/read-kaniko-log.ts';
import type { Failure } from './failure-of.ts';

interface Setting {
  readonly dockerfile: string;
  readonly memory: string;
  readonly outOfMemory: string;
}

const refused = /UNAUTHORIZED|DENIED|unauthorized|denied|status code 40[13]|\b40[13] /;
const notFound = /MANIFEST_UNKNOWN|NAME_UNKNOWN|NOT_FOUND|status code 404|not found on any/;
const wrong = /_INVALID|UNSUPPORTED|status code 4(?!29)\d\d/;

/** The reason that stands in kaniko's last words. Both forks word their errors alike, up to capitals and quotes. */
export function failureOfKaniko(
  failure: KanikoFailure,
  facts: KanikoFacts,
  setting: Setting,
): Failure {
  const said = failure.message.replace(/^Error: /, '');
  return (
    ofPush(said) ??
    ofSource(said, setting) ??
    ofRun(said, failure, setting) ??
    ofBaseImage(said, facts) ??
    ofDockerfile(said, failure, setting) ?? {
      reason: 'platform_error',
      message: `the builder failed: ${detail(said)}`,
    }
  );
}

function ofPush(said: string): Failure | null {
  if (!/^error (?:pushing image|checking push permission)/.test(said)) return null;
  if (refused.test(said)) {
    const message = `the registry refused the push of the image: ${detail(said)}`;
    return { reason: 'registry_auth', message };
  }
  if (wrong.test(said)) {
    return {
      reason: 'platform_error',
      message: `the registry rejected the image: ${detail(said)}`,
    };
  }
  const message = `the registry could not take the image: ${detail(said)}`;
  return { reason: 'registry_unavailable', message };
}

function ofSource(said: string, { dockerfile }: Setting): Failure | null {
  if (/valid path to a Dockerfile/i.test(said)) {
    return user(`there is no Dockerfile at "${dockerfile}" in the source`);
  }
  if (!/^error resolving source context/.test(said)) return null;
  if (/gzip|tar header|unpacking|unexpected EOF|invalid header/i.test(said)) {
    return user(`the source archive could not be unpacked: ${detail(said)}`);
  }
  const message = `the source archive could not be fetched: ${detail(said)}`;
  return { reason: 'platform_error', message };
}

function ofRun(said: string, { instruction }: KanikoFailure, setting: Setting): Failure | null {
  const at = instruction ?? 'an instruction of the Dockerfile';
  const code = /waiting for process to exit: exit status (\d{1,3})/.exec(said)?.[1];
  if (code !== undefined) {
    const hint =
      code === '137'
        ? `, as a program does that is killed; the usual cause is memory, of which the build has ${setting.memory}`
        : '';
    return user(`${at} exited with code ${code}${hint}`);
  }
  const signal = /waiting for process to exit: signal: (\w+)/.exec(said)?.[1];
  // Nothing but the kernel kills a RUN step before it has ended.
  if (signal === 'killed') return { reason: 'oom', message: `${at}: ${setting.outOfMemory}` };
  if (signal !== undefined) return user(`${at} was ended by the signal "${signal}"`);
  const start = /starting command: (?:fork\/exec )?(.*)$/.exec(said)?.[1];
  return start === undefined ? null : user(`${at} could not be started: ${start}`);
}

function ofBaseImage(said: string, { baseImage, mirrorFailure }: KanikoFacts): Failure | null {
  if (/could not parse reference/.test(said)) {
    return pull(`the Dockerfile names a base image that is no valid name: ${detail(said)}`);
  }
  const pulling =
    /unable to complete operation|not found on any configured mapped|\/v2\/|dial tcp|x509|TLS handshake/;
  // An ADD of an address fails with the same words.
  if (!pulling.test(said) || /failed to execute command/.test(said)) return null;
  const image = baseImage === null ? 'a base image' : `the base image ${baseImage}`;
  // A mirror that knows the image is missing says more than an upstream that can't be reached.
  const known = mirrorFailure !== null && !refused.test(said) && !notFound.test(said);
  const why = known ? mirrorFailure : said;
  if (notFound.test(why)) return pull(`${image} was not found: check its name and tag`);
  if (refused.test(why)) {
    return pull(`access to ${image} was refused: it is private, or does not exist`);
  }
  return pull(`${image} could not be pulled: ${detail(said)}`);
}

function ofDockerfile(
  said: string,
  failure: KanikoFailure,
  { dockerfile }: Setting,
): Failure | null {
  const parsing = /parsing dockerfile: (?:dockerfile parse error on line \d+: )?(.*)$/i.exec(said);
  if (parsing) {
    const line = failure.dockerfileLine === null ? '' : ` line ${failure.dockerfileLine}`;
    return user(`${dockerfile}${line}: ${parsing[1]}`);
  }
  const target = /"?([^\s"]+)"? is not a valid target build stage/.exec(said)?.[1];
  if (target !== undefined) return user(`${dockerfile} has no stage "${target}"`);
  const { instruction } = failure;
  const missing = /failed to get fileinfo for \S+: lstat (\S+): no such file/.exec(said)?.[1];
  if (missing !== undefined && instruction !== null) {
    return user(`${instruction}: the source has no such file or directory`);
  }
  const blamed =
    /failed to execute command|files used from context|resolving|expanding meta ARGs|refers to|build arg|populat|invalid/i;
  if (!blamed.test(said) || /no space left on device/.test(said)) return null;
  return user(
    instruction === null ? `${dockerfile}: ${detail(said)}` : `${instruction}: ${detail(said)}`,
  );
}

const user = (message: string): Failure => ({ reason: 'user_error', message });
const pull = (message: string): Failure => ({ reason: 'image_pull', message });

/** Without the words that say the same of every failure. */
function detail(said: string): string {
  return said.replace(
    /^error (?:building image|pushing image|resolving source context|checking push permissions[^:]*): (?:error building stage: )?(?:failed to execute command: )?/,
    '',
  );
}
