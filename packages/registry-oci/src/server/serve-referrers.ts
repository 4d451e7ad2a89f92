import { readFile } from 'node:fs/promises';
import { mediaTypes } from '@cygni/core';
import { z } from 'zod';
import { digestOfHex } from './digest.ts';
import { methodNotAllowed, respond, type ServerExchange, type Stores } from './exchange.ts';
import { namesIn, sizeIfPresent, unlessMissing } from './files.ts';

/** About what a manifest may have, since that is what the answer is. */
const pageBytes = 2 * 1024 * 1024;
const descriptorSchema = z.looseObject({ artifactType: z.string().optional() });

/** Manifests whose subject is `subject`, which need not exist itself. */
export async function serveReferrers(
  stores: Stores,
  each: ServerExchange,
  repository: string,
  subject: string,
): Promise<void> {
  if (each.request.method !== 'GET') throw methodNotAllowed(['GET']);
  const { layout } = stores;
  const artifactType = each.query.get('artifactType');
  const last = each.query.get('last') ?? '';
  const names = [...(await namesIn(layout.referrers(repository, subject)))].sort();

  const descriptors: string[] = [];
  let bytes = 0;
  let next: string | undefined;
  let previous = last;
  for (const hex of names) {
    const digest = digestOfHex(hex);
    if (hex <= last || digest === undefined) continue;
    // A push that a crash cut short leaves a referrer whose manifest never came to be.
    if ((await sizeIfPresent(layout.manifestLink(repository, digest))) === undefined) continue;
    const text = await unlessMissing(
      readFile(layout.referrer(repository, subject, digest), 'utf8'),
    );
    if (text === undefined) continue;
    const descriptor = descriptorSchema.parse(JSON.parse(text));
    if (artifactType !== null && descriptor.artifactType !== artifactType) continue;
    if (descriptors.length > 0 && bytes + text.length > pageBytes) {
      next = previous;
      break;
    }
    descriptors.push(text);
    bytes += text.length;
    previous = hex;
  }

  const query = new URLSearchParams({
    ...(artifactType === null ? {} : { artifactType }),
    last: next ?? '',
  });
  respond(
    each,
    200,
    {
      'content-type': mediaTypes.ociIndex,
      ...(artifactType === null ? {} : { 'oci-filters-applied': 'artifactType' }),
      ...(next === undefined
        ? {}
        : { link: `</v2/${repository}/referrers/${subject}?${query}>; rel="next"` }),
    },
    `{"schemaVersion":2,"mediaType":"${mediaTypes.ociIndex}","manifests":[${descriptors.join(',')}]}`,
  );
}
