import { randomUUID } from 'node:crypto';
import { ListMultipartUploadsCommand } from '@aws-sdk/client-s3';
import { createS3ArtifactStore } from '@cygni/artifacts-s3';
import { artifactStoreConformance } from '@cygni/core/conformance';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { credentials, type Moto, motoIsMissing, startMoto } from './support/moto.ts';

const test = { describe, it, expect, beforeEach, afterEach };

describe.skipIf(motoIsMissing)('in S3 as moto plays it', () => {
  let moto: Moto;
  beforeAll(async () => {
    moto = await startMoto();
    await moto.createBucket('artifacts');
  });
  afterAll(() => moto?.[Symbol.asyncDispose]());

  artifactStoreConformance(test, {
    async create() {
      const { endpoint } = moto;
      const prefix = `test/${randomUUID()}`;
      const store = createS3ArtifactStore({ bucket: 'artifacts', prefix, endpoint, credentials });
      return {
        store,
        async dispose() {
          const command = new ListMultipartUploadsCommand({ Bucket: 'artifacts' });
          const { Uploads = [] } = await moto.client.send(command);
          expect(Uploads).toEqual([]);
        },
      };
    },
  });
});
