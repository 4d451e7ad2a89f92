import { createHash } from 'node:crypto';
import { createEcrRegistry, type EcrRegistryOptions } from '@cygni/registry-ecr';
import { HttpResponse, http } from 'msw';
import { z } from 'zod';
import { credentials, quick } from './registry.ts';

export const host = '123456789012.dkr.ecr.eu-west-1.amazonaws.com';
export const api = 'https://api.ecr.eu-west-1.amazonaws.com/';
const inputSchema = z.record(z.string(), z.unknown());

export interface Asked {
  readonly operation: string;
  readonly input: Readonly<Record<string, unknown>>;
}

type Answer = object | Response;

/** A handler that stands for AWS at the wire (AWS JSON 1.1) and keeps what it was asked. */
export function standingForAws(
  answers: Readonly<Record<string, (input: Asked['input']) => Answer>>,
) {
  const asked: Asked[] = [];
  const handler = http.post(api, async ({ request }) => {
    const operation = request.headers.get('x-amz-target')?.split('.')[1] ?? '';
    const input = inputSchema.parse(await request.json());
    asked.push({ operation, input });
    const answer = answers[operation]?.(input) ?? awsError('UnknownOperationException');
    if (answer instanceof Response) return answer;
    return HttpResponse.json({ ...answer });
  });
  return {
    handler,
    asked,
    operations: () => asked.map((each) => each.operation),
  };
}

export function awsError(
  name: string,
  status = 400,
  headers: Record<string, string> = {},
): Response {
  const body = JSON.stringify({ __type: name, message: `${name} it is` });
  return new Response(body, { status, headers });
}

/** GetAuthorizationToken's answer. */
export function tokenAnswer(token: string, expiresAt: Date, proxyEndpoint = `https://${host}`) {
  const authorizationToken = Buffer.from(`AWS:${token}`).toString('base64');
  return {
    authorizationData: [
      { authorizationToken, expiresAt: expiresAt.getTime() / 1000, proxyEndpoint },
    ],
  };
}

/** BatchGetImage's answer. */
export function imageAnswer(manifest: string, imageDigest = sha256(manifest)) {
  const imageManifestMediaType = 'application/vnd.oci.image.manifest.v1+json';
  return {
    images: [{ imageId: { imageDigest }, imageManifest: manifest, imageManifestMediaType }],
    failures: [],
  };
}

export function sha256(text: string): string {
  return `sha256:${createHash('sha256').update(text).digest('hex')}`;
}

export function registryOnWire(options: Partial<EcrRegistryOptions> = {}) {
  return createEcrRegistry({
    host,
    credentials,
    retry: quick,
    ...options,
  });
}
