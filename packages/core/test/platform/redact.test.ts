import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRedactor } from '../../src/platform/redact.ts';

describe('the redactor', () => {
  it('replaces a secret wherever it stands, also in base64', () => {
    const redact = createRedactor(['hunter22']);
    const encoded = Buffer.from('hunter22').toString('base64');
    expect(redact(`a hunter22 b ${encoded} chunter22d`)).toBe(
      'a [redacted] b [redacted] c[redacted]d',
    );
  });

  it('leaves no secret in any text', () => {
    const word = fc
      .string({ minLength: 6, maxLength: 30 })
      .filter((text) => !'[redacted]'.includes(text));
    fc.assert(
      fc.property(word, fc.string(), fc.string(), (secret, before, after) => {
        fc.pre(!`${before}[redacted]${after}`.includes(secret));
        return !createRedactor([secret])(before + secret + after).includes(secret);
      }),
    );
  });
});
