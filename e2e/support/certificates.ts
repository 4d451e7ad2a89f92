import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface ServerCertificate {
  /** Of the authority that signed it, which nobody trusts by itself. */
  readonly authorityFile: string;
  readonly certificate: string;
  readonly key: string;
}

/** A certificate for an IP address, by an authority made for it. */
export async function makeCertificate(directory: string, ip: string): Promise<ServerCertificate> {
  const file = (name: string) => join(directory, name);
  const newKey = ['-newkey', 'rsa:2048', '-nodes'];
  await run('openssl', [
    ...['req', '-x509', ...newKey, '-days', '2', '-subj', '/CN=e2e authority'],
    ...['-keyout', file('authority.key'), '-out', file('authority.crt')],
  ]);
  await run('openssl', [
    ...['req', ...newKey, '-subj', `/CN=${ip}`],
    ...['-keyout', file('server.key'), '-out', file('server.csr')],
  ]);
  await writeFile(file('extensions'), `subjectAltName=IP:${ip}\n`);
  await run('openssl', [
    ...['x509', '-req', '-in', file('server.csr'), '-days', '2', '-extfile', file('extensions')],
    ...['-CA', file('authority.crt'), '-CAkey', file('authority.key'), '-CAcreateserial'],
    ...['-out', file('server.crt')],
  ]);
  return {
    authorityFile: file('authority.crt'),
    certificate: await readFile(file('server.crt'), 'utf8'),
    key: await readFile(file('server.key'), 'utf8'),
  };
}
