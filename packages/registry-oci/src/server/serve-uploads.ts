import { isRepository } from '../reference.ts';
import { assertAccess } from './access.ts';
import { bodyOf } from './body.ts';
import { isDigest } from './digest.ts';
import { methodNotAllowed, respond, type ServerExchange, type Stores } from './exchange.ts';
import { digestIn } from './route.ts';
import { SpecFailure } from './spec-failure.ts';
import { tooLarge } from './upload-store.ts';

/** Where uploads begin: a session, a whole blob at once, or a mount. */
export async function serveUploads(
  stores: Stores,
  each: ServerExchange,
  repository: string,
): Promise<void> {
  if (each.request.method !== 'POST') throw methodNotAllowed(['POST']);
  if (await mounted(stores, each, repository)) return;

  const digest = each.query.get('digest');
  if (digest === null) {
    const id = await stores.uploads.begin(repository);
    return respond(each, 202, sessionHeaders(repository, id, 0));
  }
  const wanted = digestIn(digest);
  const id = await stores.uploads.begin(repository);
  try {
    await receive(stores, each, repository, id);
    await keep(stores, each, repository, id, wanted);
  } catch (error) {
    await stores.uploads.cancel(repository, id).catch(() => undefined);
    throw error;
  }
}

export async function serveUpload(
  stores: Stores,
  each: ServerExchange,
  repository: string,
  id: string,
): Promise<void> {
  switch (each.request.method) {
    case 'GET': {
      const offset = await stores.uploads.offset(repository, id);
      return respond(each, 204, sessionHeaders(repository, id, offset));
    }
    case 'PATCH': {
      const offset = await receive(stores, each, repository, id);
      return respond(each, 202, sessionHeaders(repository, id, offset));
    }
    case 'PUT': {
      const digest = digestIn(each.query.get('digest') ?? '');
      await receive(stores, each, repository, id);
      return keep(stores, each, repository, id, digest);
    }
    case 'DELETE':
      await stores.uploads.cancel(repository, id);
      return respond(each, 204, {});
    default:
      throw methodNotAllowed(['GET', 'PATCH', 'PUT', 'DELETE']);
  }
}

/** A mount that is not possible, or not allowed, is no error: the blob is then uploaded like any other. */
async function mounted(stores: Stores, each: ServerExchange, repository: string): Promise<boolean> {
  const digest = each.query.get('mount') ?? '';
  const from = each.query.get('from') ?? '';
  if (!isDigest(digest) || !isRepository(from)) return false;
  const { authorization } = each.request.headers;
  try {
    await assertAccess(stores.authorize, { authorization, repository: from, action: 'pull' });
  } catch (error) {
    if (error instanceof SpecFailure) return false;
    throw error;
  }
  if (!(await stores.blobs.mount(repository, from, digest))) return false;
  respond(each, 201, blobHeaders(repository, digest));
  return true;
}

async function receive(
  stores: Stores,
  each: ServerExchange,
  repository: string,
  id: string,
): Promise<number> {
  const { uploads, limits } = stores;
  const length = each.request.headers['content-length'];
  const range = contentRange(each.request.headers['content-range'], length);
  if (Number(length ?? 0) + (range?.start ?? 0) > limits.maximumBlobBytes) {
    throw tooLarge(limits.maximumBlobBytes);
  }
  const body = bodyOf(each.request, limits.idleTimeoutMs);
  try {
    return await uploads.append(repository, id, body, range);
  } catch (error) {
    if (!(error instanceof SpecFailure) || error.status !== 416) throw error;
    const location = { location: uploadPath(repository, id) };
    throw new SpecFailure(error.code, error.message, {
      status: error.status,
      headers: { ...error.headers, ...location },
    });
  }
}

async function keep(
  stores: Stores,
  each: ServerExchange,
  repository: string,
  id: string,
  digest: string,
): Promise<void> {
  await stores.uploads.finish(repository, id, digest, (file) =>
    stores.blobs.keepFile(repository, digest, file),
  );
  respond(each, 201, blobHeaders(repository, digest));
}

/** `0-1023` as the distribution spec has it; clients that send HTTP's own form (`bytes 0-1023/4096`) are understood too. */
function contentRange(
  header: string | undefined,
  length: string | undefined,
): { readonly start: number; readonly length: number } | undefined {
  if (header === undefined) return undefined;
  const match = /^(?:bytes )?(\d{1,15})-(\d{1,15})(?:\/(?:\d{1,15}|\*))?$/.exec(header);
  const start = Number(match?.[1]);
  const announced = Number(match?.[2]) - start + 1;
  if (!match || announced < 1) {
    throw new SpecFailure('BLOB_UPLOAD_INVALID', 'malformed Content-Range');
  }
  if (length !== undefined && Number(length) !== announced) {
    throw new SpecFailure('SIZE_INVALID', 'Content-Range and Content-Length differ');
  }
  return { start, length: announced };
}

function sessionHeaders(repository: string, id: string, offset: number): Record<string, string> {
  return {
    location: uploadPath(repository, id),
    range: `0-${Math.max(0, offset - 1)}`,
    'docker-upload-uuid': id,
  };
}

function blobHeaders(repository: string, digest: string): Record<string, string> {
  return { location: `/v2/${repository}/blobs/${digest}`, 'docker-content-digest': digest };
}

function uploadPath(repository: string, id: string): string {
  return `/v2/${repository}/blobs/uploads/${id}`;
}
