import type { Call, Descriptor, ImageClient, RepositoryLocation } from '@cygni/core';
import type { Dispatcher } from 'undici';
import type { z } from 'zod';
import { createAuthorizer } from './client/authorizer.ts';
import { getBlob } from './client/download-blob.ts';
import { createGuardedAgents } from './client/guarded-agents.ts';
import { listTags } from './client/list-tags.ts';
import { listUnderTag, subjectOf } from './client/list-under-tag.ts';
import { deleteManifest, getManifest, putManifest } from './client/manifests.ts';
import { createPulls } from './client/mirrors.ts';
import { mountBlob } from './client/mount-blob.ts';
import { listReferrers } from './client/referrers.ts';
import { createImageRetry } from './client/retry.ts';
import { createSend } from './client/send.ts';
import { putBlob } from './client/upload-blob.ts';
import { imageClientOptionsSchema, parseOptions } from './options.ts';

/**
 * `timeouts`: to connect (10 s), to the answer's headers (60 s), between two pieces of a body (30 s).
 * `retry`: of what fails for a passing reason (4 retries, from 250 ms up to 10 s apart; a Retry-After
 * is honoured up to 60 s). `monolithicBytes`: blobs up to this size (4 MiB) are held and sent in one
 * request; larger ones stream. `chunkBytes`: these are sent in pieces of so many bytes, of which one is
 * held at a time, for a registry behind a proxy that lets no larger bodies through. `mirrors`: by the
 * host of a registry, where else its manifests and blobs are read, in this order and before the registry
 * itself; a path in `url` goes before the repository's name (`https://harbor.example/hub`). Whatever a
 * mirror fails with, the next one is asked. Each has its own `credentials` or none; whoever may use this
 * client may read all that they open. Digests are verified as ever, but what a tag means is what the first
 * one that knows it says. Nothing is pushed to a mirror.
 */
export interface ImageClientOptions extends z.input<typeof imageClientOptionsSchema> {
  /**
   * Borrowed: whoever made it closes it, and answers for the addresses that it connects to. Without it
   * the client has a connection pool of its own, which goes to no cloud's metadata service, and follows
   * a registry at a public address to public addresses only.
   */
  readonly dispatcher?: Dispatcher;
}

/** An {@link ImageClient} that can also do what the rest of a Registry needs. */
export interface OciImageClient extends ImageClient, AsyncDisposable {
  /** Tags in lexical order; none for a repository that nothing was pushed to yet. */
  listTags(
    location: RepositoryLocation,
    page: { readonly after?: string; readonly limit: number },
    call: Call,
  ): Promise<readonly string[]>;
  /** Manifests whose subject is `digest`, by the referrers API, or the tag that stands in for it. */
  listReferrers(
    location: RepositoryLocation,
    digest: string,
    filter: { readonly artifactType?: string },
    call: Call,
  ): Promise<readonly Descriptor[]>;
  /** Deleting what is not there succeeds. @throws `unsupported` where the registry does not delete */
  deleteManifest(location: RepositoryLocation, digest: string, call: Call): Promise<void>;
  /** Ends the connections that the client made itself. Idempotent. */
  close(): Promise<void>;
}

/**
 * Speaks the OCI distribution spec to any registry: anonymous, Basic and Bearer; plain HTTP only
 * where the location says so. `docker.io` means Docker Hub. Does no I/O until it is used.
 * @throws `invalid_configuration`
 */
export function createImageClient(options: ImageClientOptions = {}): OciImageClient {
  const { dispatcher: borrowed, ...rest } = options;
  const settings = parseOptions(imageClientOptionsSchema, rest, 'createImageClient');
  const { close, ...dispatchers } = borrowed
    ? { named: borrowed, ledBy: () => borrowed, async close() {} }
    : createGuardedAgents(settings.timeouts.connectMs);
  const wire = {
    dispatchers,
    headersMs: settings.timeouts.headersMs,
    idleBodyMs: settings.timeouts.idleBodyMs,
  };
  const send = createSend(wire, createAuthorizer(wire));
  const retry = createImageRetry(settings.retry);
  const pulls = createPulls(settings.mirrors, retry);

  return {
    getManifest: (location, reference, call) =>
      getManifest(send, pulls.read, location, reference, call),
    getBlob: (location, digest, call) =>
      getBlob(send, pulls, settings.retry.retries, location, digest, call),
    putBlob: (location, blob, call) => putBlob(send, retry, settings, location, blob, call),
    async putManifest(location, reference, manifest, call) {
      const stored = await putManifest(send, retry, location, reference, manifest, call);
      const subject = subjectOf(manifest.bytes);
      if (subject !== undefined && !stored.listed) {
        const pushed = { ...manifest, digest: stored.digest };
        await listUnderTag(send, retry, location, pushed, subject, call);
      }
      return stored.digest;
    },
    listReferrers: (location, digest, { artifactType }, call) =>
      listReferrers(send, retry, location, digest, artifactType, call),
    mountBlob: (location, from, digest, call) =>
      mountBlob(send, retry, location, from, digest, call),
    listTags: (location, page, call) => listTags(send, retry, location, page, call),
    deleteManifest: (location, digest, call) => deleteManifest(send, retry, location, digest, call),
    close,
    [Symbol.asyncDispose]: close,
  };
}
