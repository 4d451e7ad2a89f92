import { createRedactor } from '@cygni/core';

const mark = '[redacted]';

/** Takes out of a build's log what only this build was told. */
export interface LogRedactor {
  /** A password or a token. */
  hide(secret: string): void;
  /** A reader of one stream of lines, in order. */
  openStream(): (line: string) => string;
}

/** `context`: a presigned address, of which the query is the key. Another process that adopts the run has another query. */
export function createLogRedactor(context: string): LogRedactor {
  const secrets = createRedactor();
  const address = `${context.split('?', 1)[0]}?`;

  function withoutQuery(text: string): string {
    let rest = text;
    let clean = '';
    for (;;) {
      const start = rest.indexOf(address);
      if (start < 0) return clean + rest;
      const query = rest.slice(start + address.length);
      const end = query.search(/[\s"']|\\(?!u0026)/);
      clean += `${rest.slice(0, start)}${address}${mark}`;
      rest = end < 0 ? '' : query.slice(end);
    }
  }

  return {
    hide: secrets.hide,
    openStream() {
      const redact = secrets.openStream();
      return (line) => redact(line.includes(address) ? withoutQuery(line) : line);
    },
  };
}
