import {
  abortedError,
  type Call,
  CygniError,
  measureImage,
  type Registry,
  SPEC_VERSION,
} from '@cygni/core';
import { createAuthorization } from './authorization.ts';
import { createEcrApi } from './ecr-api.ts';
import { createEnsureRepository } from './ensure-repository.ts';
import { deleteImage, getManifest, tagImage } from './images.ts';
import { listTags } from './list-tags.ts';
import { mapError } from './map-error.ts';
import { assertDigest, assertReference, assertRepository, assertTag } from './names.ts';
import { type EcrRegistryOptions, resolveOptions } from './options.ts';
import { readScanFindings, type ScanReport } from './scan-findings.ts';

export interface EcrRegistry extends Registry, AsyncDisposable {
  /**
   * What ECR's scan of an image found, at most `limit` findings of it.
   * @throws `not_found`: there is no such image, or it was never scanned
   */
  scanFindings(
    repository: string,
    digest: string,
    page: { readonly limit: number },
    call: Call,
  ): Promise<ScanReport>;
}

/**
 * Images in Amazon ECR, in the registry of one account and region. The credentials that it hands out
 * open the whole account (`reach: 'account'`), as ECR knows no others, and last for three hours at least.
 * Does no I/O; `open` asks for the first token, and so finds out whether AWS is there and lets us in.
 * @throws `invalid_configuration`
 */
export function createEcrRegistry(options: EcrRegistryOptions): EcrRegistry {
  const settings = resolveOptions(options);
  const { host, insecure } = settings;
  const api = createEcrApi(settings);
  const authorization = createAuthorization(api, host, settings.clock);
  const ensureRepository = createEnsureRepository(api, settings.repositories);
  let closed = false;

  function assertLive({ signal }: Call): void {
    if (closed) throw new CygniError('closed', 'the registry is closed');
    if (signal.aborted) throw abortedError(signal);
  }

  async function within<Value>(
    repository: string,
    call: Call,
    run: () => Promise<Value>,
  ): Promise<Value> {
    assertLive(call);
    assertRepository(repository);
    try {
      return await run();
    } catch (error) {
      throw mapError(error, `repository ${repository}`, call.signal);
    }
  }

  async function close(): Promise<void> {
    closed = true;
    authorization.close();
    api.client.destroy();
  }

  return {
    specVersion: SPEC_VERSION,
    name: 'ecr',
    host,
    insecure,

    async open(call) {
      assertLive(call);
      await authorization.obtain(call);
    },
    close,
    [Symbol.asyncDispose]: close,

    ensureRepository: (repository, call) =>
      within(repository, call, () => ensureRepository(repository, call)),

    credentials: (repository, _actions, call) =>
      within(repository, call, () => authorization.obtain(call)),
    forgetCredentials: (credentials) => authorization.forget(credentials),

    resolve: (repository, reference, call) =>
      within(repository, call, async () => {
        assertReference(reference);
        const read = (each: string) => getManifest(api, repository, each, call);
        const manifest = await read(reference);
        const sizeBytes = await measureImage(manifest, read);
        return { digest: manifest.digest, mediaType: manifest.mediaType, sizeBytes };
      }),

    tag: (repository, digest, tag, call) =>
      within(repository, call, async () => {
        assertDigest(digest);
        assertTag(tag);
        await tagImage(api, repository, digest, tag, call);
      }),

    listTags: (repository, page, call) =>
      within(repository, call, () => listTags(api, repository, page, call)),

    deleteImage: (repository, digest, call) =>
      within(repository, call, async () => {
        assertDigest(digest);
        await deleteImage(api, repository, digest, call);
      }),

    scanFindings: (repository, digest, page, call) =>
      within(repository, call, async () => {
        assertDigest(digest);
        return readScanFindings(api, repository, digest, page, call);
      }),
  };
}
