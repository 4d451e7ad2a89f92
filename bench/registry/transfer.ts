import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/**
 * Bytes are moved by curl: it is nobody's own client, and costs so little that the server is what is measured. (A
 * client in Node that hashes what it reads takes three times as long as either server needs.)
 */
const quiet = ['--silent', '--show-error', '--fail'];

/** Returns where the upload goes on. */
export async function upload(url: string, file: string, signal: AbortSignal): Promise<string> {
  const { stdout } = await run(
    'curl',
    [
      ...quiet,
      ...['--request', 'PATCH', '--upload-file', file],
      // Else curl waits for leave to send, from a server that gives none.
      ...['--header', 'expect:', '--header', 'content-type: application/octet-stream'],
      ...['--write-out', '%header{location}', url],
    ],
    { signal },
  );
  return stdout;
}

/** @throws Error unless it has this size */
export async function download(url: string, sizeBytes: number, signal: AbortSignal): Promise<void> {
  const { stdout } = await run(
    'curl',
    [...quiet, '--output', '/dev/null', '--write-out', '%{size_download}', url],
    { signal },
  );
  if (Number(stdout) !== sizeBytes) throw new Error(`${url} came back with ${stdout} bytes`);
}

/** Returns where the answer points to, or the address asked where it points nowhere. */
export async function send(
  url: string,
  signal: AbortSignal,
  request: RequestInit,
): Promise<string> {
  const response = await fetch(url, { ...request, signal });
  await response.arrayBuffer();
  if (!response.ok) throw new Error(`${url} answered ${response.status}`);
  return new URL(response.headers.get('location') ?? '', url).href;
}
