import { collectBody } from './body.ts';
import { methodNotAllowed, respond, type ServerExchange, type Stores } from './exchange.ts';
import { SpecFailure } from './spec-failure.ts';

export async function serveManifest(
  stores: Stores,
  each: ServerExchange,
  repository: string,
  reference: string,
): Promise<void> {
  const { manifests, limits } = stores;
  switch (each.request.method) {
    case 'GET':
    case 'HEAD': {
      const found = await manifests.get(repository, reference);
      if (!found) throw unknownManifest();
      return respond(
        each,
        200,
        {
          'content-type': found.mediaType,
          'docker-content-digest': found.digest,
          etag: `"${found.digest}"`,
        },
        found.bytes,
      );
    }
    case 'PUT': {
      const bytes = await collectBody(
        each.request,
        limits.maximumManifestBytes,
        limits.idleTimeoutMs,
      );
      const contentType = each.request.headers['content-type']?.split(';')[0]?.trim();
      const stored = await manifests.put(repository, reference, bytes, contentType);
      return respond(each, 201, {
        location: `/v2/${repository}/manifests/${stored.digest}`,
        'docker-content-digest': stored.digest,
        ...(stored.subject === undefined ? {} : { 'oci-subject': stored.subject }),
      });
    }
    case 'DELETE':
      if (!(await manifests.delete(repository, reference))) throw unknownManifest();
      return respond(each, 202, {});
    default:
      throw methodNotAllowed(['GET', 'HEAD', 'PUT', 'DELETE']);
  }
}

function unknownManifest(): SpecFailure {
  return new SpecFailure('MANIFEST_UNKNOWN', 'no such manifest in this repository');
}
