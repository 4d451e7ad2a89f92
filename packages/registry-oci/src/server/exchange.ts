import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Logger } from '@cygni/core';
import type { RegistryServerSettings } from '../options.ts';
import type { Authorize } from './access.ts';
import type { BlobStore } from './blob-store.ts';
import type { Layout } from './layout.ts';
import type { ManifestStore } from './manifest-store.ts';
import { SpecFailure } from './spec-failure.ts';
import type { UploadStore } from './upload-store.ts';

/** What every endpoint works with. */
export interface Stores {
  readonly layout: Layout;
  readonly blobs: BlobStore;
  readonly manifests: ManifestStore;
  readonly uploads: UploadStore;
  readonly limits: RegistryServerSettings['limits'];
  readonly authorize: Authorize;
  readonly log: Logger;
}

/** One request with its answer. */
export interface ServerExchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly query: URLSearchParams;
}

export function respond(
  { response }: Pick<ServerExchange, 'response'>,
  status: number,
  headers: Readonly<Record<string, string | number>>,
  body?: string | Uint8Array,
): void {
  const length = body === undefined ? 0 : Buffer.byteLength(body);
  response.writeHead(status, {
    ...(status === 204 ? {} : { 'content-length': length }),
    ...headers,
  });
  response.end(body);
}

export function methodNotAllowed(allowed: readonly string[]): SpecFailure {
  return new SpecFailure('UNSUPPORTED', 'no such method here', {
    headers: { allow: allowed.join(', ') },
  });
}
