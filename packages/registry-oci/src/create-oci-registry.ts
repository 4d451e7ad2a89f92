import {
  abortedError,
  type Call,
  CygniError,
  measureImage,
  type Registry,
  type RegistryAction,
  type RegistryCredentials,
  type RepositoryLocation,
  SPEC_VERSION,
} from '@cygni/core';
import { createImageClient, type OciImageClient } from './create-image-client.ts';
import { mapError } from './map-error.ts';
import { ociRegistryOptionsSchema, parseOptions } from './options.ts';
import { assertDigest, assertRepository, isTag } from './reference.ts';

export interface OciRegistryOptions {
  /** Host with port, as image references name it. */
  readonly host: string;
  /** Plain HTTP. */
  readonly insecure: boolean;
  /** Asked anew for each call, so that it may answer with credentials that expire. Absent: anonymous. */
  readonly credentials?: (
    repository: string,
    actions: readonly RegistryAction[],
  ) => Promise<RegistryCredentials> | RegistryCredentials;
  /** Borrowed: whoever made it closes it. */
  readonly client?: OciImageClient;
}

/** The callback knows no signal; its caller need not wait for it longer than it wants to. */
function unlessAborted<Value>(value: Promise<Value> | Value, signal: AbortSignal): Promise<Value> {
  const { promise, resolve, reject } = Promise.withResolvers<Value>();
  const abort = () => reject(abortedError(signal));
  signal.addEventListener('abort', abort, { once: true });
  Promise.resolve(value).then(resolve, reject);
  return promise.finally(() => signal.removeEventListener('abort', abort));
}

/** Empty, which clients take for "no credentials". They open nothing, hence the narrow reach. */
const anonymous: RegistryCredentials = {
  username: '',
  password: '',
  expiresAt: null,
  reach: 'repository',
};

/**
 * A Registry over any that speaks the OCI distribution spec. Does no I/O, `open` included: the
 * registry may be one that this very process is about to serve.
 * @throws `invalid_configuration`
 */
export function createOciRegistry(options: OciRegistryOptions): Registry & AsyncDisposable {
  const { credentials: ask, client: borrowed, ...rest } = options;
  const { host, insecure } = parseOptions(ociRegistryOptionsSchema, rest, 'createOciRegistry');
  const client = borrowed ?? createImageClient();
  let closed = false;

  function assertOpen(): void {
    if (closed) throw new CygniError('closed', 'the registry is closed');
  }

  async function obtain(
    repository: string,
    actions: readonly RegistryAction[],
    call: Call,
  ): Promise<RegistryCredentials> {
    assertOpen();
    call.signal.throwIfAborted();
    assertRepository(repository);
    return ask ? unlessAborted(ask(repository, actions), call.signal) : anonymous;
  }

  async function locate(
    repository: string,
    actions: readonly RegistryAction[],
    call: Call,
  ): Promise<RepositoryLocation> {
    return { host, insecure, repository, credentials: await obtain(repository, actions, call) };
  }

  async function guarded<Value>(
    what: string,
    call: Call,
    run: () => Promise<Value>,
  ): Promise<Value> {
    try {
      return await run();
    } catch (error) {
      throw mapError(error, what, call.signal);
    }
  }

  async function close(): Promise<void> {
    if (closed) return;
    closed = true;
    if (!borrowed) await client.close();
  }

  return {
    specVersion: SPEC_VERSION,
    name: 'oci',
    host,
    insecure,

    async open() {
      assertOpen();
    },
    close,
    [Symbol.asyncDispose]: close,

    ensureRepository: (repository, call) =>
      guarded(`repository ${repository}`, call, async () => {
        assertOpen();
        call.signal.throwIfAborted();
        // Registries of this kind create a repository with the first push.
        assertRepository(repository);
      }),

    credentials: (repository, actions, call) =>
      guarded(`credentials of ${repository}`, call, () => obtain(repository, actions, call)),

    resolve: (repository, reference, call) =>
      guarded(`resolution of ${repository}`, call, async () => {
        const location = await locate(repository, ['pull'], call);
        const read = (each: string) => client.getManifest(location, each, call);
        const manifest = await read(reference);
        const sizeBytes = await measureImage(manifest, read);
        return { digest: manifest.digest, mediaType: manifest.mediaType, sizeBytes };
      }),

    tag: (repository, digest, tag, call) =>
      guarded(`tag ${repository}:${tag}`, call, async () => {
        assertDigest(digest);
        if (!isTag(tag)) throw new CygniError('invalid_input', 'not a tag');
        const location = await locate(repository, ['pull', 'push'], call);
        const manifest = await client.getManifest(location, digest, call);
        await client.putManifest(location, tag, manifest, call);
      }),

    listTags: (repository, page, call) =>
      guarded(`tags of ${repository}`, call, async () => {
        if (!Number.isInteger(page.limit) || page.limit < 1) {
          throw new CygniError('invalid_input', 'the limit is a positive integer');
        }
        return client.listTags(await locate(repository, ['pull'], call), page, call);
      }),

    deleteImage: (repository, digest, call) =>
      guarded(`deletion of ${repository}@${digest}`, call, async () => {
        const location = await locate(repository, ['pull', 'delete'], call);
        await client.deleteManifest(location, digest, call);
      }),
  };
}
