import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { request } from 'node:https';
import type { Services } from './services.ts';

/** Stores what a Job made by hand fetches, for everyone to read. Returns its address. */
export async function putObject(
  { endpoint, bucket, authorityFile }: Services['s3'],
  key: string,
  body: Uint8Array,
): Promise<string> {
  const url = `${endpoint}/${bucket}/${key}`;
  const sent = request(url, {
    method: 'PUT',
    ca: await readFile(authorityFile, 'utf8'),
    headers: { 'x-amz-acl': 'public-read' },
  });
  sent.end(body);
  const [answer] = await once(sent, 'response');
  answer.resume();
  await once(answer, 'end');
  if (answer.statusCode !== 200) throw new Error(`putting ${key}: ${answer.statusCode}`);
  return url;
}
