import type { S3Client } from '@aws-sdk/client-s3';

/**
 * The SDK hashes each body that it holds a second time, with SHA-256, to sign it. Over TLS that protects
 * nothing more: nobody on the way can change it, and the checksum among the signed headers finds damage.
 * Over plain HTTP bodies stay signed. `UNSIGNED-PAYLOAD` is in AWS's "Signature calculations for the
 * Authorization header: transferring payload in a single chunk".
 */
export function leaveBodiesUnsignedOverTls(client: S3Client): void {
  client.middlewareStack.add(
    (next) => async (step) => {
      if (isChecksummedOverTls(step.request)) {
        step.request.headers['x-amz-content-sha256'] = 'UNSIGNED-PAYLOAD';
      }
      return next(step);
    },
    // After the one that adds the checksum, before the one that signs.
    { step: 'finalizeRequest', priority: 'high', name: 'leaveBodiesUnsignedOverTls' },
  );
}

interface Checksummed {
  readonly headers: Record<string, string>;
}

function isChecksummedOverTls(request: unknown): request is Checksummed {
  if (typeof request !== 'object' || request === null) return false;
  const [protocol, headers] = [Reflect.get(request, 'protocol'), Reflect.get(request, 'headers')];
  if (protocol !== 'https:' || typeof headers !== 'object' || headers === null) return false;
  return Object.keys(headers).some((name) => /^x-amz-checksum-(?!algorithm|type)/i.test(name));
}
