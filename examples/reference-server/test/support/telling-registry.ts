import { createHash } from 'node:crypto';
import { listen } from './listen.ts';

const digestOf = (content: string) =>
  `sha256:${createHash('sha256').update(content).digest('hex')}`;

const mediaType = 'application/vnd.oci.image.manifest.v1+json';
const manifest = JSON.stringify({
  ...{ schemaVersion: 2, mediaType, layers: [] },
  config: { mediaType: 'application/vnd.oci.empty.v1+json', digest: digestOf('{}'), size: 2 },
});

export interface TellingRegistry extends Disposable {
  readonly url: string;
  /** Of all that it has, in every repository. */
  readonly digest: string;
}

/** Shows everybody one manifest and refuses all else, and tells in the refusal with what it was asked. */
export async function startTellingRegistry(): Promise<TellingRegistry> {
  const digest = digestOf(manifest);
  const listening = await listen((request, response) => {
    if (request.url?.endsWith(`/manifests/${digest}`)) {
      response.setHeader('Content-Type', mediaType);
      response.end(manifest);
      return;
    }
    const { authorization = 'none' } = request.headers;
    const credentials = Buffer.from(authorization.split(' ')[1] ?? '', 'base64').toString();
    response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="telling"' });
    const message = `${authorization} means ${credentials}: refused`;
    response.end(JSON.stringify({ errors: [{ code: 'DENIED', message }] }));
  });
  const dispose = () => listening[Symbol.dispose]();
  return { url: `http://127.0.0.1:${listening.port}`, digest, [Symbol.dispose]: dispose };
}
