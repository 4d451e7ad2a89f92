import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface Certificate {
  readonly certificatePath: string;
  readonly keyPath: string;
  readonly pem: string;
}

/** One for localhost that vouches for itself. */
export async function createCertificate(directory: string): Promise<Certificate> {
  const certificatePath = join(directory, 'certificate.pem');
  const keyPath = join(directory, 'key.pem');
  await run('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'],
    ...['-days', '2', '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'],
    ...['-keyout', keyPath, '-out', certificatePath],
  ]);
  return { certificatePath, keyPath, pem: await readFile(certificatePath, 'utf8') };
}
