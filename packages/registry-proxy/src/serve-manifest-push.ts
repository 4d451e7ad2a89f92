import { createHash } from 'node:crypto';
import { type Exchange, picked, respond } from './exchange.ts';
import { Failure } from './failure.ts';
import { digestPattern } from './names.ts';
import { assertAllowed, scopeOf } from './permission.ts';
import { discard, readBody } from './read-body.ts';
import type { Place } from './route.ts';

/** What registries accept at most, too. */
const maximumManifestBytes = 4 * 1024 * 1024;

/**
 * PUT of a manifest. It is held, so that it can be sent again with renewed credentials, and its
 * digest is reported before the build is told: a build that then ends takes nothing with it.
 */
export async function serveManifestPush(
  each: Exchange,
  place: Place,
  reference: string,
): Promise<void> {
  const upstream = assertAllowed(each.configuration, place, 'push', reference);
  const body = await readBody(each.request, maximumManifestBytes);
  const digest = `sha256:${createHash('sha256').update(body).digest('hex')}`;
  if (digestPattern.test(reference) && reference !== digest) {
    throw new Failure(400, 'DIGEST_INVALID', 'the manifest has another digest');
  }
  const answer = await each.forward({
    upstream,
    scopes: [scopeOf(upstream, place.repository)],
    method: 'PUT',
    url: new URL(`/v2/${place.repository}/manifests/${reference}`, upstream.origin),
    headers: {
      ...picked(each.request.headers, ['content-type']),
      'content-length': body.byteLength,
    },
    body,
    signal: each.signal,
  });
  await discard(answer);
  if (answer.statusCode !== 201) {
    throw new Failure(502, 'UNKNOWN', `the registry answers with ${answer.statusCode}`, {
      reason: 'upstream_unavailable',
    });
  }
  const accepted = answer.headers['docker-content-digest'];
  if (accepted !== undefined && accepted !== digest) {
    throw new Failure(502, 'DIGEST_INVALID', 'the registry took the manifest for another one', {
      reason: 'integrity',
    });
  }
  each.report({ event: 'pushed', ...place, reference, digest });
  respond(each, 201, {
    location: `/v2/${place.upstream}/${place.repository}/manifests/${digest}`,
    'docker-content-digest': digest,
    ...picked(answer.headers, ['oci-subject']),
  });
}
