import { randomUUID } from 'node:crypto';
import type { Call } from '../contracts/call.ts';
import { CygniError } from '../errors.ts';
import type { Source } from '../model/source.ts';
import { lastWords, type PlatformContext } from './context.ts';

const gzipMagic = [0x1f, 0x8b];

export interface Sources {
  /** Streams a gzip-compressed tar archive in. @throws `too_large`, `invalid_input` if it is not gzip */
  upload(tenantId: string, body: AsyncIterable<Uint8Array>, call: Call): Promise<Source>;
  /** @throws `not_found` */
  get(tenantId: string, id: string, call: Call): Promise<Source>;
}

export function createSources({ store, artifacts, settings }: PlatformContext): Sources {
  return {
    async upload(tenantId, body, call) {
      const id = randomUUID();
      const key = `${tenantId}/sources/${id}.tar.gz`;
      const limits = {
        maximumBytes: settings.maximumSourceBytes,
        ifAbsent: artifacts.supports.ifAbsent,
      };
      const stored = await artifacts.put(key, requireGzip(body), limits, call);
      try {
        const { sizeBytes, sha256 } = stored;
        return await store.addSource({ id, tenantId, key, sizeBytes, sha256 }, call);
      } catch (error) {
        await artifacts.delete(key, lastWords(call.log));
        throw error;
      }
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
