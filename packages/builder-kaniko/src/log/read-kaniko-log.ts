import { forPeople } from './for-people.ts';
import { parseKanikoLine } from './parse-kaniko-line.ts';

/** What kaniko's log claims. All of it can be forged by a RUN step: the registry is the proof of a push. */
export interface KanikoFacts {
  /** The push to the build's destination that the log tells of last; null: none. */
  readonly pushed: { readonly reference: string; readonly digest: string } | null;
  readonly cache: {
    readonly hits: number;
    /** Layers that had to be built. Counted from the first on that the cache lacks: kaniko looks no further. */
    readonly misses: number;
    /** A layer could not be stored, so the next build will be as slow. */
    readonly degraded: boolean;
  };
  /** A RUN step may have printed something, whether a line of it was seen or not. */
  readonly ranCommands: boolean;
  /** The image whose manifest or layers kaniko asked for last; null: none yet. */
  readonly baseImage: string | null;
  /** What a mirror answered about that image; null: nothing, or no failure. */
  readonly mirrorFailure: string | null;
  readonly failure: KanikoFailure | null;
}

export interface KanikoFailure {
  /** Starts at 1; null: kaniko names lines only of what it cannot parse. */
  readonly dockerfileLine: number | null;
  /** The instruction that kaniko was at, as written in the Dockerfile; null: none yet. */
  readonly instruction: string | null;
  /** kaniko's own message. */
  readonly message: string;
}

export interface KanikoLogReader {
  read(line: string): void;
  facts(): KanikoFacts;
}

const longestLine = 32_768;
const longestInstruction = 300;
const digest = /^(\S+)@(sha256:[0-9a-f]{64})$/;
const instruction =
  /^(?:ADD|ARG|CMD|COPY|ENTRYPOINT|ENV|EXPOSE|HEALTHCHECK|LABEL|MAINTAINER|ONBUILD|RUN|SHELL|STOPSIGNAL|USER|VOLUME|WORKDIR) /i;
/** How kaniko begins its last words, which it writes bare, and cobra its own. */
const lastWords =
  /^(?:error (?:building|pushing|resolving|changing|checking)|kaniko should only be run|Error: )/;
const parseError = /dockerfile parse error on line (\d{1,6})/i;

/** Reads the log of one run of kaniko, line by line. Keeps no more than a few lines of it. */
export function createKanikoLogReader(options: {
  /** The one `--destination`, as given. */
  readonly destination: string;
}): KanikoLogReader {
  const { destination } = options;
  const repository = repositoryOf(destination);
  let pushing = false;
  let pushed: KanikoFacts['pushed'] = null;
  let hits = 0;
  let absent = 0;
  let stored = 0;
  let ranCommands = false;
  /** A RUN step has begun, of which the next lines tell whether its layer was there already. */
  let isCommandDue = false;
  let degraded = false;
  let baseImage: string | null = null;
  let mirrorFailure: string | null = null;
  let current: string | null = null;
  let failure: KanikoFailure | null = null;

  function readOwn(level: string, message: string): void {
    // Kaniko's last words are its last: what looked like them was not.
    failure = level === 'fatal' ? failureFrom(message) : null;
    const after = (prefix: string) =>
      message.startsWith(prefix) ? message.slice(prefix.length) : undefined;

    if (message === `Pushing image to ${destination}`) pushing = true;
    const [, pushedTo, pushedDigest] = digest.exec(after('Pushed ') ?? '') ?? [];
    if (pushing && pushedTo === repository && pushedDigest !== undefined) {
      pushed = { reference: destination, digest: pushedDigest };
    }
    if (message.startsWith('Using caching version of cmd: ')) hits += 1;
    if (message.startsWith('No cached layer found for cmd ')) absent += 1;
    if (message.startsWith('Pushing layer ') && message.endsWith(' to cache now')) stored += 1;
    if (message.startsWith('Error uploading layer to cache: ')) degraded = true;

    const image = after('Retrieving image manifest ');
    if (image !== undefined && image !== baseImage) {
      baseImage = forPeople(image, longestInstruction);
      mirrorFailure = null;
    }
    if (message.startsWith('Failed to retrieve image ')) mirrorFailure = forPeople(message);
    const needed = /^Unpacking rootfs as cmd (.*) requires it\.$/s.exec(message)?.[1] ?? message;
    if (message.startsWith('Running: ')) ranCommands = true;
    if (/^RUN /i.test(message)) {
      ranCommands ||= isCommandDue;
      isCommandDue = true;
    } else if (message.startsWith('Found cached layer')) {
      isCommandDue = false;
    }
    if (instruction.test(needed)) current = forPeople(needed, longestInstruction);
  }

  function failureFrom(message: string): KanikoFailure {
    const line = parseError.exec(message)?.[1];
    return {
      dockerfileLine: line === undefined ? null : Number(line),
      instruction: current,
      message: forPeople(message),
    };
  }

  return {
    read(whole) {
      const line = whole.length > longestLine ? whole.slice(0, longestLine) : whole;
      const own = parseKanikoLine(line);
      if (own) readOwn(own.level, own.message);
      else ranCommands = true;
      if (!own && lastWords.test(line)) failure = failureFrom(line);
    },

    facts: () => ({
      pushed,
      cache: { hits, misses: Math.max(absent, stored), degraded },
      ranCommands: ranCommands || isCommandDue,
      baseImage,
      mirrorFailure,
      failure,
    }),
  };
}

function repositoryOf(reference: string): string {
  const colon = reference.lastIndexOf(':');
  return colon > reference.lastIndexOf('/') ? reference.slice(0, colon) : reference;
}
