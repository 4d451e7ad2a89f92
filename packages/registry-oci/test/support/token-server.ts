import { createSign, randomUUID, X509Certificate } from 'node:crypto';
import { makeCertificate } from '../../../../e2e/support/certificates.ts';
import { debianCredentials, type TokenAuth } from './debian-registry.ts';
import { listen } from './listen.ts';
import { reply } from './scripted-registry.ts';
import { temporaryDirectory } from './temporary-directory.ts';

export interface TokenServer extends AsyncDisposable {
  /** What a registry is told that trusts this server. */
  readonly auth: TokenAuth;
  /** Those that were given out, oldest first. */
  readonly issued: readonly string[];
  /** How long tokens last that are given out from now on. Nothing is said of it: clients take them for good for 60 s. */
  tokenSeconds: number;
}

/** The registry lets a token in for so long after its end. */
const leewaySeconds = 60;
const [service, issuer] = ['registry', 'token-server'];

/** Gives signed tokens, as the distribution project specifies them, to who has {@link debianCredentials}. */
export async function tokenServer(): Promise<TokenServer> {
  const cleanUp = new AsyncDisposableStack();
  const directory = cleanUp.use(await temporaryDirectory());
  const { certificate, key, authorityFile } = await makeCertificate(directory.path, '127.0.0.1');
  const chain = [new X509Certificate(certificate).raw.toString('base64')];
  const issued: string[] = [];

  const { host } = cleanUp.use(
    await listen((request, response) => {
      const { username, password } = debianCredentials;
      if (request.headers.authorization !== `Basic ${btoa(`${username}:${password}`)}`) {
        reply(response, 401);
        return;
      }
      const scopes = new URL(request.url ?? '', 'http://x').searchParams.getAll('scope');
      const token = sign(scopes);
      issued.push(token);
      reply(response, 200, { 'content-type': 'application/json' }, JSON.stringify({ token }));
    }),
  );

  function sign(scopes: readonly string[]): string {
    const now = Math.floor(Date.now() / 1000);
    const claims = {
      ...{ iss: issuer, aud: service, sub: debianCredentials.username, jti: randomUUID() },
      ...{ iat: now, nbf: now - leewaySeconds, exp: now + server.tokenSeconds - leewaySeconds },
      access: scopes.flatMap((scope) => {
        const [, type, name, actions] = /^(\w+):(.+):([\w,]+)$/.exec(scope) ?? [];
        return type ? [{ type, name, actions: actions?.split(',') }] : [];
      }),
    };
    const signed = `${encode({ typ: 'JWT', alg: 'RS256', x5c: chain })}.${encode(claims)}`;
    return `${signed}.${createSign('RSA-SHA256').update(signed).sign(key).toString('base64url')}`;
  }

  const server: TokenServer = {
    auth: { realm: `http://${host}/token`, service, issuer, rootcertbundle: authorityFile },
    issued,
    tokenSeconds: 300,
    [Symbol.asyncDispose]: () => cleanUp.disposeAsync(),
  };
  return server;
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
