import { describe, expect, it } from 'vitest';
import { createLogRedactor } from '../src/run/redact.ts';
import { createRunLog } from '../src/run/run-log.ts';
import { testCall } from './log/following.ts';

const address = 'https://sources.test/acme/one.tar.gz';

describe('the log of a run', () => {
  it('tells its note to each reader, after whatever that has had', async () => {
    const log = createRunLog(async function* () {});
    log.end('the image was pushed');
    for (const after of [0, 17]) {
      const lines = await Array.fromAsync(log.read(after, testCall()));
      expect(lines).toMatchObject([{ position: after + 1, text: 'the image was pushed' }]);
    }
  });

  it('never has the key to the source, in whichever words kaniko complains', () => {
    const redact = createLogRedactor(
      `${address}?X-Amz-Credential=AKIA%2F1&X-Amz-Signature=feed`,
    ).openStream();
    const said = [
      `Error: error resolving source context: Get "${address}?X-Amz-Credential=AKIA%2F1&X-Amz-Signature=feed": dial tcp: refused`,
      `time="t" level=fatal msg="Get \\"${address}?X-Amz-Signature=feed\\": EOF"`,
      `{"msg":"${address}?X-Amz-Credential=AKIA%2F1\\u0026X-Amz-Signature=feed"}`,
      // Of the process before this one, which had another key.
      `${address}?X-Amz-Signature=feed-of-another and ${address}?X-Amz-Signature=feed`,
      `CYGNI_CONTEXT=${address}?X-Amz-Signature=feed`,
    ];
    for (const line of said) {
      expect(redact(line)).not.toMatch(/feed|AKIA/);
      expect(redact(line)).toContain(`${address}?[redacted]`);
    }
    expect(redact(said[0] ?? '')).toMatch(/dial tcp: refused$/);
  });
});
