import type { IncomingMessage, ServerResponse } from 'node:http';
import { CygniError, type Logger } from '@cygni/core';
import type { z } from 'zod';
import { parseOptions, registryServerOptionsSchema } from './options.ts';
import type { Authorize } from './server/access.ts';
import { answer } from './server/answer.ts';
import { createBlobStore } from './server/blob-store.ts';
import { type Collected, collectGarbage } from './server/collect-garbage.ts';
import type { Stores } from './server/exchange.ts';
import { makeDirectory } from './server/files.ts';
import { createKeyedLock } from './server/keyed-lock.ts';
import { createLayout } from './server/layout.ts';
import { createLiveReferences } from './server/live-references.ts';
import { createManifestStore } from './server/manifest-store.ts';
import { dropScratch } from './server/scratch.ts';
import { createUploadStore } from './server/upload-store.ts';

/**
 * `directory` belongs to one server at a time. `limits`: a manifest (4 MiB), a blob (10 GiB), silence
 * of a client in the middle of a body (60 s), age of an abandoned upload and longest time of a push
 * (24 h), and how long content without a manifest is left alone when nothing more of it comes (1 h).
 */
export interface RegistryServerOptions extends z.input<typeof registryServerOptionsSchema> {
  /** Asked before anything is done. What it throws is answered with 500. Absent: everything is allowed. */
  readonly authorize?: Authorize;
  readonly log?: Logger;
}

export interface RegistryServer extends AsyncDisposable {
  /**
   * Answers a request below `/v2/`. Mount it where no body parser comes before it, in a server whose
   * `requestTimeout` leaves time for large blobs (Node's default is five minutes; 0 is none): a
   * silent client is cut off here. Behind Express, `originalUrl` is used.
   */
  handle(request: IncomingMessage, response: ServerResponse): void;
  /**
   * Deletes content that no manifest of any repository refers to and that is older than the grace
   * period, and abandoned uploads. Safe while others push and pull: a push loses nothing that pauses
   * for less than the grace period, and ends within the age at which an upload is abandoned.
   * @throws `aborted`; `integrity` if a stored manifest cannot be read, in which case no content is deleted
   */
  collectGarbage(call: { readonly signal: AbortSignal }): Promise<Collected>;
  /** Makes the directories and drops abandoned uploads. Idempotent; the first request does it too. */
  open(): Promise<void>;
  /** From now on answers 503; waits a few seconds for requests under way, then cuts them off. Idempotent. */
  close(): Promise<void>;
}

const closeWithinMs = 3000;
const silent: Logger = { debug() {}, info() {}, warn() {}, error() {} };

/**
 * An OCI distribution-spec v1.1 registry in a directory. Does no I/O before `open` or the first request.
 * @throws `invalid_configuration`
 */
export function createRegistryServer(options: RegistryServerOptions): RegistryServer {
  const { authorize = async () => 'allow' as const, log = silent, ...rest } = options;
  const { directory, limits } = parseOptions(
    registryServerOptionsSchema,
    rest,
    'createRegistryServer',
  );
  const layout = createLayout(directory);
  const lock = createKeyedLock();
  const live = createLiveReferences();
  const blobs = createBlobStore(layout, lock);
  const uploads = createUploadStore(layout, limits.maximumBlobBytes);
  const manifests = createManifestStore({ layout, lock, blobs, live });
  const stores: Stores = { layout, blobs, manifests, uploads, limits, authorize, log };

  const underWay = new Map<Promise<void>, ServerResponse>();
  const closing = new AbortController();
  let opened: Promise<void> | undefined;

  function open(): Promise<void> {
    if (closing.signal.aborted) return Promise.reject(closedError());
    opened ??= prepare().catch((error: unknown) => {
      opened = undefined;
      throw error;
    });
    return opened;
  }

  async function prepare(): Promise<void> {
    for (const each of [...layout.blobs, layout.repositories, layout.uploads, layout.scratch]) {
      await makeDirectory(each);
    }
    await dropAbandoned();
  }

  async function dropAbandoned(): Promise<void> {
    const dropped = await uploads.dropOlderThan(limits.staleUploadMs);
    await dropScratch(layout, limits.staleUploadMs);
    if (dropped > 0) log.info({ dropped }, 'abandoned uploads were dropped');
  }

  async function close(): Promise<void> {
    if (!closing.signal.aborted) closing.abort(closedError());
    const timer = setTimeout(() => {
      for (const response of underWay.values()) response.destroy();
    }, closeWithinMs);
    await Promise.allSettled([...underWay.keys(), lock.run('garbage', async () => undefined)]);
    clearTimeout(timer);
  }

  return {
    open,
    close,
    [Symbol.asyncDispose]: close,

    handle(request, response) {
      const done = answer(stores, { request, response, ready: open });
      underWay.set(done, response);
      void done.finally(() => underWay.delete(done));
    },

    async collectGarbage({ signal }) {
      await open();
      const either = AbortSignal.any([signal, closing.signal]);
      return lock.run('garbage', async () => {
        await dropAbandoned();
        const { garbageGraceMs: graceMs, staleUploadMs: longestPushMs } = limits;
        const parts = { layout, lock, live, graceMs, longestPushMs };
        const collected = await collectGarbage(parts, either);
        log.info({ ...collected }, 'unreferenced content was deleted');
        return collected;
      });
    },
  };
}

function closedError(): CygniError {
  return new CygniError('closed', 'the registry is closed');
}
