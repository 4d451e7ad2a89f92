import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdir, rename, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { createServer } from 'node:https';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { makeCertificate } from './certificates.ts';
import { eventually } from './eventually.ts';
import { findFreePort } from './free-port.ts';

const run = promisify(execFile);
const motoVersion = '5.2.5';
const installTimeoutMs = 5 * 60_000;

export interface S3Service extends AsyncDisposable {
  /** `https://`, with a certificate by the authority of `authorityFile`. */
  readonly endpoint: string;
  readonly authorityFile: string;
  readonly bucket: string;
}

/**
 * moto's S3 behind TLS, at an address that pods reach: kaniko fetches a build context over https only.
 * A fake: nothing here can reach the real one.
 */
export async function startS3Service(directory: string, ip: string): Promise<S3Service> {
  await using cleanUp = new AsyncDisposableStack();
  const program = await installMoto();
  const port = await findFreePort('127.0.0.1');
  const child = spawn(program, ['-H', '127.0.0.1', '-p', String(port)], { stdio: 'ignore' });
  cleanUp.defer(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  });
  const bucket = 'sources';
  await eventually(async () => {
    const created = await fetch(`http://127.0.0.1:${port}/${bucket}`, {
      method: 'PUT',
      // moto tells services apart by what the authorization is for.
      headers: {
        authorization:
          'AWS4-HMAC-SHA256 Credential=e2e/20250101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0',
      },
    }).catch(() => null);
    return created?.ok;
  }, 30_000);

  const { authorityFile, certificate, key } = await makeCertificate(directory, ip);
  const front = createServer({ cert: certificate, key }, (incoming, outgoing) => {
    const { method, url, headers } = incoming;
    const forwarded = request({ host: '127.0.0.1', port, method, path: url, headers });
    forwarded.on('response', (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      pipeline(answer, outgoing).catch(() => outgoing.destroy());
    });
    pipeline(incoming, forwarded).catch(() => outgoing.destroy());
  });
  front.listen(0, ip);
  await once(front, 'listening');
  cleanUp.defer(async () => {
    const closed = once(front, 'close');
    front.close();
    front.closeAllConnections();
    await closed;
  });
  const address = front.address();
  if (typeof address !== 'object' || address === null) throw new Error('not a TCP address');
  const owned = cleanUp.move();
  return {
    endpoint: `https://${ip}:${address.port}`,
    authorityFile,
    bucket,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Into a cache outside the checkout, once. */
async function installMoto(): Promise<string> {
  const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'cygni-e2e');
  const directory = join(cache, `moto-${motoVersion}`);
  const program = join(directory, 'bin', 'moto_server');
  const marker = join(directory, '.installed');
  try {
    await access(marker);
    return program;
  } catch {
    process.stderr.write(`installing moto ${motoVersion} (once)\n`);
  }
  await rm(directory, { recursive: true, force: true });
  await mkdir(cache, { recursive: true });
  await run('python3', ['-m', 'venv', directory], { timeout: installTimeoutMs });
  const packages = [`moto[server,s3]==${motoVersion}`];
  await run(join(directory, 'bin', 'pip'), ['install', '--quiet', ...packages], {
    timeout: installTimeoutMs,
  });
  await mkdir(join(directory, '.new'));
  await rename(join(directory, '.new'), marker);
  return program;
}
