import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setDefaultCACertificates } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { createS3ArtifactStore } from '@cygni/artifacts-s3';
import { chunks, lentChunks } from './chunks.ts';
import { type Cost, measured, median } from './measured.ts';

/**
 * Uploads 5 GiB (or as many GiB as the first argument says) in one piece and reads it again, over TLS, and
 * prints by how much that made the process grow: more than 100 MB is a failure. Then, by turns with a bare
 * HTTP PUT and GET to the same server, a fifth as much, and prints how fast each was beside the bare one.
 */
const bucket = 'bench';
const gibibyte = 1024 ** 3;
const rounds = 3;
const roundShare = 1 / 5;
const limitMegabytes = 100;
const sizeBytes = Math.floor(Number(process.argv[2] ?? 5) * gibibyte);

const directory = await mkdtemp(join(tmpdir(), 'cygni-bench-artifacts-'));
const { key, cert } = makeCertificate(directory);
const script = fileURLToPath(new URL('./serve.ts', import.meta.url));
const server = spawn(process.execPath, ['--conditions=cygni-source', script, key, cert], {
  stdio: ['pipe', 'pipe', 'inherit'],
});
try {
  setDefaultCACertificates([await readFile(cert, 'utf8')]);
  const [port]: Buffer[] = await once(server.stdout, 'data');
  await compare(`https://localhost:${String(port).trim()}`);
} finally {
  server.kill('SIGKILL');
  await rm(directory, { recursive: true, force: true });
}

function makeCertificate(parent: string): { readonly key: string; readonly cert: string } {
  const [keyFile, certFile] = [join(parent, 'key.pem'), join(parent, 'cert.pem')];
  const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1'];
  const name = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
  const files = ['-keyout', keyFile, '-out', certFile];
  execFileSync('openssl', ['req', '-x509', ...kind, ...name, ...files], { stdio: 'ignore' });
  return { key: keyFile, cert: certFile };
}

async function compare(endpoint: string): Promise<void> {
  const credentials = { accessKeyId: 'bench', secretAccessKey: 'bench' };
  const store = createS3ArtifactStore({ bucket, endpoint, credentials });
  const { error, warn } = console;
  const log = { debug() {}, info() {}, warn, error };
  const call = { signal: new AbortController().signal, log };
  const put = (bytes: number) =>
    store.put('acme/a', lentChunks(bytes), { maximumBytes: bytes }, call);
  const get = async (bytes: number) => {
    let readBytes = 0;
    for await (const data of await store.get('acme/a', call)) readBytes += data.byteLength;
    if (readBytes !== bytes) throw new Error(`read ${readBytes} of ${bytes} bytes`);
  };
  await store.open(call);
  const whole = {
    put: await measured(() => put(sizeBytes)),
    get: await measured(() => get(sizeBytes)),
  };
  const roundBytes = Math.floor(sizeBytes * roundShare);
  const barePuts: Cost[] = [];
  const puts: Cost[] = [];
  const bareGets: Cost[] = [];
  const gets: Cost[] = [];
  for (let round = 0; round < rounds; round += 1) {
    barePuts.push(await measured(() => putBare(`${endpoint}/bare`, roundBytes)));
    puts.push(await measured(() => put(roundBytes)));
    bareGets.push(await measured(() => getBare(`${endpoint}/${bucket}/acme/a`)));
    gets.push(await measured(() => get(roundBytes)));
  }
  await store.close();

  say(
    `${sizeBytes / gibibyte} GiB in and out again; ${rounds} rounds of ${(roundBytes / gibibyte).toFixed(2)} GiB by turns`,
  );
  report('put', whole.put, puts, barePuts);
  report('get', whole.get, gets, bareGets);
  if (Math.max(whole.put.grownMegabytes, whole.get.grownMegabytes) > limitMegabytes) {
    say(`more than ${limitMegabytes} MB`);
    process.exitCode = 1;
  }
}

function report(name: string, whole: Cost, ours: readonly Cost[], bare: readonly Cost[]): void {
  const ratio = (value: (cost: Cost) => number) =>
    (median(bare.map(value)) / median(ours.map(value))).toFixed(2);
  const speed = ratio((cost) => cost.ms);
  const processor = ratio((cost) => cost.processorMs);
  say(`${name}: ${speed} times the speed of a bare one (by processor time ${processor}), medians`);
  const grown = whole.grownMegabytes.toFixed(0);
  const buffers = whole.buffersMegabytes.toFixed(0);
  const bareGrown = Math.max(...bare.map((each) => each.grownMegabytes)).toFixed(0);
  say(
    `${name}: grew by ${grown} MB, of which buffers ${buffers} MB at the most; a bare one by up to ${bareGrown} MB`,
  );
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

async function putBare(url: string, bytes: number): Promise<void> {
  const put = request(url, { method: 'PUT', headers: { 'content-length': bytes } });
  const sent = pipeline(Readable.from(chunks(bytes)), put);
  const [[answer]] = await Promise.all([once(put, 'response'), sent]);
  answer.resume();
  await once(answer, 'end');
}

async function getBare(url: string): Promise<void> {
  const get = request(url).end();
  const [answer] = await once(get, 'response');
  for await (const _ of answer);
}
