import { CygniError } from '@cygni/core';

export function refuse(pointer: '/git/url' | '/git/ref', message: string): CygniError {
  const issues = [{ pointer, code: 'refused', message }];
  return new CygniError('invalid_input', `${pointer} ${message}`, { issues });
}

/** What git says, in the words of its own source (with LC_ALL=C), and what it means. */
const meanings: readonly (readonly [said: RegExp, error: (cause: Error) => CygniError])[] = [
  [
    /couldn't find remote ref|not our ref|no such remote ref|Server does not allow request for unadvertised/i,
    () => refuse('/git/ref', 'is not there, or may not be asked for'),
  ],
  [
    // All that is said where what receives the pack dies of the limit on the size of a file.
    /died of signal 25|File too large|^\s*fatal: fetch-pack: invalid index-pack output\s*$/,
    () => new CygniError('too_large', 'the repository is too large'),
  ],
  [
    /could not read Username|Authentication failed|terminal prompts disabled|error: 40[13]/,
    () => refuse('/git/url', 'names a repository that is not public'),
  ],
  [/ not found|error: 404/, () => refuse('/git/url', 'names no repository')],
  [
    /error: 3\d\d|redirect/i,
    () => refuse('/git/url', 'is redirected; give the address it leads to'),
  ],
  [
    /not valid: is this a git repository|dumb http|not a git repository/,
    () => refuse('/git/url', 'names no server that speaks git’s protocol'),
  ],
  [
    /fsck error|index-pack failed|invalid index-pack|unpack-objects/,
    () => refuse('/git/url', 'names a repository with malformed or hostile objects'),
  ],
  [
    /SSL|certificate/i,
    (cause) => new CygniError('unavailable', 'the server’s certificate is not trusted', { cause }),
  ],
];

/** @param said git's own words: they may reach the server's log, but no user */
export function mapFailure(exitCode: number | null, said: string): CygniError {
  const cause = new Error(`git ended with ${exitCode}: ${said.slice(-500)}`);
  if (exitCode === 127) {
    return new CygniError(
      'unsupported',
      'this server cannot read repositories: git is not installed',
      {
        cause,
      },
    );
  }
  // An address may have any of these words in it.
  const words = said.replaceAll(/'https:[^']*'/g, '');
  for (const [pattern, error] of meanings) if (pattern.test(words)) return error(cause);
  return new CygniError('unavailable', 'the repository could not be read', { cause });
}
