export interface Challenge {
  /** Lower case: `bearer`, `basic`. */
  readonly scheme: string;
  readonly parameters: ReadonlyMap<string, string>;
}

const token = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/y;
const parameter = /\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))\s*/y;

/** Reads a WWW-Authenticate header (RFC 9110, section 11.6.1). What cannot be read is left out. */
export function parseChallenges(header: string): readonly Challenge[] {
  const challenges: Challenge[] = [];
  let position = 0;
  while (position < header.length) {
    position = skip(header, position);
    token.lastIndex = position;
    const scheme = token.exec(header)?.[0];
    if (scheme === undefined) break;
    position = token.lastIndex;
    const parameters = new Map<string, string>();
    for (;;) {
      parameter.lastIndex = skip(header, position);
      const match = parameter.exec(header);
      if (!match?.[1]) break;
      position = parameter.lastIndex;
      parameters.set(match[1].toLowerCase(), match[2]?.replace(/\\(.)/g, '$1') ?? match[3] ?? '');
    }
    challenges.push({ scheme: scheme.toLowerCase(), parameters });
  }
  return challenges;
}

function skip(header: string, from: number): number {
  let position = from;
  while (header[position] === ' ' || header[position] === ',' || header[position] === '\t') {
    position += 1;
  }
  return position;
}
