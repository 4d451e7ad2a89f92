import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { makeCertificate } from '../../../notifier-webhook/test/support/certificate.ts';

const run = promisify(execFile);

export interface GitServer extends AsyncDisposable {
  readonly port: number;
  /** PEM file of the authority that signed the server's certificate. */
  readonly caFile: string;
  /** For what a test needs on disk. */
  readonly directory: string;
  /** Paths with their queries, as they were asked for. */
  readonly requests: readonly string[];
  url(repository: string): string;
  /** A repository `name` with these files as the commit of its branch `main`. Returns the commit. */
  commit(name: string, files: Readonly<Record<string, string>>): Promise<string>;
  /** git in the repository's directory. */
  git(name: string, ...args: readonly string[]): Promise<string>;
}

/** A real git server: git's own `http-backend` behind https. @param first answers instead, where it returns true */
export async function startGitServer(
  first: (request: IncomingMessage, response: ServerResponse) => boolean = () => false,
): Promise<GitServer> {
  const directory = await mkdtemp(join(tmpdir(), 'cygni-git-server-'));
  const certificate = await makeCertificate('git.internal', 'git.test', 'localhost');
  const caFile = join(directory, 'ca.pem');
  await writeFile(caFile, certificate.cert);
  const requests: string[] = [];
  const listener: RequestListener = (request, response) => {
    requests.push(request.url ?? '');
    if (!first(request, response)) serve(directory, request, response);
  };
  const server = createServer(certificate, listener);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('not listening');
  const { port } = address;

  async function git(name: string, ...args: readonly string[]): Promise<string> {
    const identity = ['-c', 'user.name=tester', '-c', 'user.email=tester@cygni.test'];
    const env = { ...process.env, GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_NOSYSTEM: '1' };
    const { stdout } = await run('git', ['-C', join(directory, name), ...identity, ...args], {
      env,
    });
    return stdout.trim();
  }

  return {
    port,
    caFile,
    directory,
    requests,
    url: (repository) => `https://git.internal:${port}/${repository}/.git`,
    git,
    async commit(name, files) {
      const root = join(directory, name);
      await mkdir(root, { recursive: true });
      await git(name, 'init', '--quiet', '--initial-branch=main');
      for (const [path, content] of Object.entries(files)) {
        await mkdir(dirname(join(root, path)), { recursive: true });
        await writeFile(join(root, path), content);
      }
      await git(name, 'add', '--all');
      await git(name, 'commit', '--quiet', '--allow-empty', '--message=a commit');
      return git(name, 'rev-parse', 'HEAD');
    },
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

/** The protocol between a web server and its programs (RFC 3875). */
function serve(root: string, request: IncomingMessage, response: ServerResponse): void {
  const [path = '', query = ''] = (request.url ?? '').split('?');
  const backend = spawn('git', ['http-backend'], {
    env: {
      PATH: process.env.PATH,
      GIT_PROJECT_ROOT: root,
      GIT_HTTP_EXPORT_ALL: '1',
      GIT_PROTOCOL: String(request.headers['git-protocol'] ?? ''),
      HTTP_CONTENT_ENCODING: String(request.headers['content-encoding'] ?? ''),
      CONTENT_TYPE: request.headers['content-type'] ?? '',
      CONTENT_LENGTH: request.headers['content-length'] ?? '',
      REQUEST_METHOD: request.method,
      PATH_INFO: path,
      QUERY_STRING: query,
    },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  request.pipe(backend.stdin);
  backend.stdin.on('error', () => {});
  response.on('close', () => backend.kill('SIGKILL'));
  let head = Buffer.alloc(0);
  backend.stdout.on('data', (chunk: Buffer) => {
    if (response.headersSent) return void response.write(chunk);
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf('\r\n\r\n');
    if (end < 0) return;
    const lines = head.subarray(0, end).toString('latin1').split('\r\n');
    const fields = lines.map((line): [string, string] => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    });
    const { status = '200', ...headers } = Object.fromEntries(fields);
    response.writeHead(Number.parseInt(status, 10), headers);
    response.write(head.subarray(end + 4));
  });
  backend.stdout.on('end', () => response.end());
}
