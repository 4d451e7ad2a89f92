import type { IncomingMessage, ServerResponse } from 'node:http';
import type { RepositoryLocation } from '@cygni/core';
import { type Listening, listen } from './listen.ts';

export interface Seen {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

export type Script = (seen: Seen, response: ServerResponse) => void;

export interface ScriptedRegistry extends AsyncDisposable {
  readonly host: string;
  readonly seen: readonly Seen[];
  /** `GET /path`, one a request, in the order they came. */
  readonly lines: readonly string[];
  location(repository?: string): RepositoryLocation;
}

/** A peer that answers what the test says, badly where the test says so. */
export async function scriptedRegistry(script: Script): Promise<ScriptedRegistry> {
  const seen: Seen[] = [];
  const listening: Listening = await listen((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('error', () => undefined);
    request.on('end', () => {
      const each = {
        method: request.method ?? '',
        path: request.url ?? '',
        headers: request.headers,
        body: Buffer.concat(chunks),
      };
      seen.push(each);
      script(each, response);
    });
  });
  return {
    host: listening.host,
    seen,
    get lines() {
      return seen.map((each) => `${each.method} ${each.path}`);
    },
    location: (repository = 'acme/site') => ({
      host: listening.host,
      repository,
      insecure: true,
    }),
    [Symbol.asyncDispose]: () => listening[Symbol.asyncDispose](),
  };
}

export function reply(
  response: ServerResponse,
  status: number,
  headers: Readonly<Record<string, string>> = {},
  body: string | Uint8Array = '',
): void {
  response.writeHead(status, headers);
  response.end(body);
}
