import { randomUUID } from 'node:crypto';
import type { Call } from '../contracts/call.ts';
import type { GitLocation } from '../contracts/source-fetcher.ts';
import type { IdempotencyKey } from '../contracts/store.ts';
import { CygniError } from '../errors.ts';
import type { GitOrigin, Source } from '../model/source.ts';
import { blindKey } from './blind-key.ts';
import { lastWords, type PlatformContext } from './context.ts';

const gzipMagic = [0x1f, 0x8b];

export interface Sources {
  /**
   * Streams a gzip-compressed tar archive in. Its hash takes the place of the fingerprint.
   * @throws `too_large`, `invalid_input` if it is not gzip, `idempotency_mismatch`
   */
  upload(
    tenantId: string,
    body: AsyncIterable<Uint8Array>,
    idempotency: IdempotencyKey | null,
    call: Call,
  ): Promise<Source>;
  /**
   * Reads a public git repository, and records the commit that was read.
   * @throws what {@link SourceFetcher.fetchGit} throws; `unsupported` where the server reads none; `idempotency_mismatch`
   */
  fetchGit(
    tenantId: string,
    location: GitLocation,
    idempotency: IdempotencyKey | null,
    call: Call,
  ): Promise<Source>;
  /** @throws `not_found` */
  get(tenantId: string, id: string, call: Call): Promise<Source>;
}

export function createSources(context: PlatformContext): Sources {
  const { store, artifacts, settings, sourceFetcher } = context;

  async function keep(
    tenantId: string,
    archive: AsyncIterable<Uint8Array>,
    git: GitOrigin | null,
    idempotency: IdempotencyKey | null,
    call: Call,
  ): Promise<Source> {
    const id = randomUUID();
    const key = `${tenantId}/sources/${id}.tar.gz`;
    const limits = {
      maximumBytes: settings.maximumSourceBytes,
      ifAbsent: artifacts.supports.ifAbsent,
    };
    const { sizeBytes, sha256 } = await artifacts.put(key, archive, limits, call);
    // What was uploaded cannot be told from its request before it is here.
    const request = git ? idempotency : idempotency && { ...idempotency, fingerprint: sha256 };
    try {
      const { resource } = await store.addSource(
        { id, tenantId, key, sizeBytes, sha256, git },
        blindKey(request),
        call,
      );
      // A request before this one has made it.
      if (resource.key !== key) await artifacts.delete(key, lastWords(call.log));
      return resource;
    } catch (error) {
      await artifacts.delete(key, lastWords(call.log));
      throw error;
    }
  }

  return {
    upload: (tenantId, body, idempotency, call) =>
      keep(tenantId, requireGzip(body), null, idempotency, call),
    async fetchGit(tenantId, location, idempotency, call) {
      if (!sourceFetcher) {
        throw new CygniError('unsupported', 'this server reads no git repositories');
      }
      await using fetched = await sourceFetcher.fetchGit(location, call);
      const git = { ...location, commit: fetched.commit };
      return await keep(tenantId, fetched.archive, git, idempotency, call);
    },
    async get(tenantId, id, call) {
      const source = await store.getSource(tenantId, id, call);
      if (!source) throw new CygniError('not_found', `no source ${id}`);
      return source;
    },
  };
}

async function* requireGzip(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let head = Buffer.alloc(0);
  for await (const chunk of body) {
    if (head.byteLength < gzipMagic.length) {
      head = Buffer.concat([head, chunk]).subarray(0, gzipMagic.length);
      if (head.byteLength === gzipMagic.length) refuseUnlessGzip(head);
    }
    yield chunk;
  }
  refuseUnlessGzip(head);
}

function refuseUnlessGzip(head: Uint8Array): void {
  if (gzipMagic.every((byte, index) => head[index] === byte)) return;
  throw new CygniError('invalid_input', 'the body is not a gzip-compressed tar archive');
}
