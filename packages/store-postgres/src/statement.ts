import { createHash } from 'node:crypto';

/** Prepared once a connection under its name. */
export interface Statement {
  readonly name: string;
  readonly text: string;
}

const statements = new Map<string, Statement>();

/** All that this package may ask a database, by the names in its code. */
export function allStatements(): ReadonlyMap<string, Statement> {
  return statements;
}

/** The name carries a hash of the text, so that two versions of this package can share a pool. */
export function statement(name: string, text: string): Statement {
  const hash = createHash('sha256').update(text).digest('hex').slice(0, 12);
  const made = { name: `cygni-${name}-${hash}`, text };
  statements.set(name, made);
  return made;
}
