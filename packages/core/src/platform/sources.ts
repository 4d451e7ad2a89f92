import { randomUUID } from 'node:crypto';
import type { Call } from '../contracts/call.ts';
import type { GitLocation } from '../contracts/source-fetcher.ts';
import { CygniError } from '../errors.ts';
import type { GitOrigin, Source } from '../model/source.ts';
import { lastWords, type PlatformContext } from './context.ts';

const gzipMagic = [0x1f, 0x8b];

export interface Sources {
  /** Streams a gzip-compressed tar archive in. @throws `too_large`, `invalid_input` if it is not gzip */
  upload(tenantId: string, body: AsyncIterable<Uint8Array>, call: Call): Promise<Source>;
  /**
   * Reads a public git repository, and records the commit that was read.
   * @throws what {@link SourceFetcher.fetchGit} throws; `unsupported` where the server reads none
   */
  fetchGit(tenantId: string, location: GitLocation, call: Call): Promise<Source>;
  /** @throws `not_found` */
  get(tenantId: string, id: string, call: Call): Promise<Source>;
}

export function createSources(context: PlatformContext): Sources {
  const { store, artifacts, settings, sourceFetcher } = context;

  async function keep(
    tenantId: string,
    archive: AsyncIterable<Uint8Array>,
    git: GitOrigin | null,
    call: Call,
  ): Promise<Source> {
    const id = randomUUID();
    const key = `${tenantId}/sources/${id}.tar.gz`;
    const limits = {
      maximumBytes: settings.maximumSourceBytes,
      ifAbsent: artifacts.supports.ifAbsent,
    };
    const { sizeBytes, sha256 } = await artifacts.put(key, archive, limits, call);
    try {
      return await store.addSource({ id, tenantId, key, sizeBytes, sha256, git }, call);
    } catch (error) {
      await artifacts.delete(key, lastWords(call.log));
      throw error;
    }
  }

  return {
    upload: (tenantId, body, call) => keep(tenantId, requireGzip(body), null, call),
    async fetchGit(tenantId, location, call) {
      if (!sourceFetcher) {
        throw new CygniError('unsupported', 'this server reads no git repositories');
      }
      await using fetched = await sourceFetcher.fetchGit(location, call);
      return await keep(tenantId, fetched.archive, { ...location, commit: fetched.commit }, call);
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
