import type { IncomingMessage, ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import type { RegistryServer } from '@cygni/registry-oci';
import { z } from 'zod';
import type { ControlPlane } from './control-plane.ts';
import type { MotoImages } from './moto-images.ts';
import type { Tokens } from './tokens.ts';

const refusalSchema = z.object({ __type: z.string(), message: z.string().default('') });

/** What AWS serves below `/v2/`: content from the registry behind, everything else as the API knows it. */
export function createDataPlane(options: {
  readonly moto: MotoImages;
  readonly tokens: Tokens;
  readonly control: ControlPlane;
  /** Keeps the layers. */
  readonly content: { readonly server: RegistryServer; readonly url: string };
  /** Where layers are downloaded from, which is another server on AWS too: `http://127.0.0.1:1`. */
  readonly storage: () => string;
}) {
  const { moto, tokens, control, content, storage } = options;

  return async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { method = '', url = '', headers } = request;
    const { pathname } = new URL(url, 'http://x');
    const standing = tokens.judge(headers.authorization);
    if (standing === 'unknown') {
      const challenge = { 'www-authenticate': 'Basic realm="ecr",service="ecr.amazonaws.com"' };
      response.writeHead(401, challenge).end('Not Authorized\n');
      return;
    }
    if (standing === 'expired') {
      const message = 'Your authorization token has expired. Reauthenticate and try again.';
      return refuse(response, 403, 'DENIED', message);
    }
    if (/^\/v2\/?$/.test(pathname)) {
      response.writeHead(200).end();
      return;
    }
    const [, repository = '', kind = '', rest = ''] =
      /^\/v2\/(.+)\/(blobs|manifests|tags)\/(.*)$/.exec(pathname) ?? [];
    if ((await moto.mutabilityOf(repository)) === undefined) {
      const message = `The repository with name '${repository}' does not exist in the registry with id '123456789012'`;
      return refuse(response, 404, 'NAME_UNKNOWN', message);
    }
    if (kind === 'tags') {
      const ids = await moto.list(repository);
      const tags = ids.flatMap(({ imageTag }) => imageTag ?? []).sort();
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ name: repository, tags }));
      return;
    }
    if (kind === 'manifests' && method === 'PUT') {
      return putManifest(repository, rest, request, response);
    }
    if (kind === 'manifests') return getManifest(repository, rest, method, response);
    if (method === 'GET' && rest.startsWith('sha256:')) {
      const found = await fetch(`${content.url}${pathname}`, { method: 'HEAD' });
      if (!found.ok) return refuse(response, 404, 'BLOB_UNKNOWN', 'blob unknown');
      const location = `${storage()}/${repository}/${rest}?X-Amz-Expires=3600&X-Amz-Signature=0`;
      response.writeHead(307, { location }).end();
      return;
    }
    delete request.headers.authorization;
    content.server.handle(request, response);
  };

  async function getManifest(
    repository: string,
    reference: string,
    method: string,
    response: ServerResponse,
  ): Promise<void> {
    if (method !== 'GET' && method !== 'HEAD') {
      return refuse(response, 405, 'UNSUPPORTED', 'The operation is unsupported.');
    }
    const image = await moto.get(repository, reference);
    if (!image) return refuse(response, 404, 'MANIFEST_UNKNOWN', 'Requested image not found');
    response.writeHead(200, {
      'content-type': image.mediaType,
      'content-length': Buffer.byteLength(image.manifest),
      'docker-content-digest': image.digest,
    });
    response.end(method === 'GET' ? image.manifest : undefined);
  }

  async function putManifest(
    repositoryName: string,
    reference: string,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const tagged = !reference.includes(':');
    const { status, body } = await control.putImage({
      repositoryName,
      imageManifest: await text(request),
      imageManifestMediaType: request.headers['content-type'] ?? '',
      ...(tagged ? { imageTag: reference } : { imageDigest: reference }),
    });
    const { __type: name = '', message = '' } = refusalSchema.safeParse(body).data ?? {};
    if (name.endsWith('ImageTagAlreadyExistsException')) {
      return refuse(response, 400, 'TAG_INVALID', message);
    }
    if (name.endsWith('LayersNotFoundException')) {
      return refuse(response, 404, 'BLOB_UNKNOWN', message);
    }
    // A push of what is there already succeeds, where the API says that it is there.
    if (status !== 200 && !name.endsWith('ImageAlreadyExistsException')) {
      return refuse(response, status, 'MANIFEST_INVALID', message);
    }
    const stored = await moto.get(repositoryName, reference);
    response.writeHead(201, { 'docker-content-digest': stored?.digest ?? '' }).end();
  }
}

/** S3 in front of the layers: it refuses a signed address that comes with other credentials too. */
export function serveStorage(content: RegistryServer) {
  return (request: IncomingMessage, response: ServerResponse): void => {
    if (request.headers.authorization !== undefined) {
      response.writeHead(400, { 'content-type': 'application/xml' });
      response.end('<Error><Code>InvalidArgument</Code></Error>');
      return;
    }
    const { pathname } = new URL(request.url ?? '', 'http://x');
    request.url = `/v2${pathname.replace(/\/(sha256:[^/]+)$/, '/blobs/$1')}`;
    content.handle(request, response);
  };
}

function refuse(response: ServerResponse, status: number, code: string, message: string): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify({ errors: [{ code, message }] }));
}
