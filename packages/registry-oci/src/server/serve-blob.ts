import { methodNotAllowed, respond, type ServerExchange, type Stores } from './exchange.ts';
import { sendFile } from './send-file.ts';
import { SpecFailure } from './spec-failure.ts';

export async function serveBlob(
  stores: Stores,
  each: ServerExchange,
  repository: string,
  digest: string,
): Promise<void> {
  switch (each.request.method) {
    case 'HEAD': {
      const size = found(await stores.blobs.renew(repository, digest));
      return respond(each, 200, { ...headersOf(digest), 'content-length': size });
    }
    case 'GET':
      return sendBlob(stores, each, repository, digest);
    case 'DELETE':
      if (!(await stores.blobs.unlink(repository, digest))) throw unknownBlob();
      return respond(each, 202, {});
    default:
      throw methodNotAllowed(['GET', 'HEAD', 'DELETE']);
  }
}

async function sendBlob(
  stores: Stores,
  each: ServerExchange,
  repository: string,
  digest: string,
): Promise<void> {
  const size = found(await stores.blobs.size(repository, digest));
  const range = rangeOf(each.request.headers.range, size);
  const { start, end } = range ?? { start: 0, end: size - 1 };
  const headers = {
    ...headersOf(digest),
    'content-length': end - start + 1,
    ...(range ? { 'content-range': `bytes ${start}-${end}/${size}` } : {}),
  };
  await using file = found(await stores.blobs.open(digest));
  each.response.writeHead(range ? 206 : 200, headers);
  await sendFile(file, { start, end }, each.response, stores.limits.idleTimeoutMs);
  each.response.end();
}

function headersOf(digest: string): Record<string, string> {
  return {
    'content-type': 'application/octet-stream',
    'docker-content-digest': digest,
    'accept-ranges': 'bytes',
    etag: `"${digest}"`,
  };
}

/**
 * Undefined where the whole is to be sent: without a Range, or with one that RFC 9110 lets a server ignore.
 * @throws SpecFailure 416
 */
function rangeOf(
  header: string | undefined,
  size: number,
): { readonly start: number; readonly end: number } | undefined {
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header ?? '');
  if (!match) return undefined;
  const [first, last] = [match[1] ?? '', match[2] ?? ''];
  if (first === '' && last === '') return undefined;
  const start = first === '' ? Math.max(0, size - Number(last)) : Number(first);
  const end = first === '' || last === '' ? size - 1 : Math.min(Number(last), size - 1);
  if (first !== '' && last !== '' && Number(last) < start) return undefined;
  if (start >= size || (first === '' && Number(last) === 0)) {
    throw new SpecFailure('SIZE_INVALID', 'no such range', {
      status: 416,
      headers: { 'content-range': `bytes */${size}` },
    });
  }
  return { start, end };
}

function found<Value>(value: Value | undefined): Value {
  if (value === undefined) throw unknownBlob();
  return value;
}

function unknownBlob(): SpecFailure {
  return new SpecFailure('BLOB_UNKNOWN', 'no such blob in this repository');
}
