import { createHash } from 'node:crypto';

/** Prepared once a connection under its name. */
export interface Statement {
  readonly name: string;
  readonly text: string;
}

/** The name carries a hash of the text, so that two versions of this package can share a pool. */
export function statement(name: string, text: string): Statement {
  const hash = createHash('sha256').update(text).digest('hex').slice(0, 12);
  return { name: `cygni-${name}-${hash}`, text };
}
