import { describe, expect, it } from 'vitest';
import { createVerifiedTokens } from '../../src/auth/verified-tokens.ts';

const principal = {
  tenantId: 'acme',
  subject: 'me',
  scopes: new Set(['builds:read'] as const),
  repository: null,
  expiresAt: 2_000_000_000,
};

describe('verified tokens', () => {
  it('are known again for 30 seconds', () => {
    let time = 0;
    const verified = createVerifiedTokens(() => time);
    verified.add('a.b.c', principal);
    time = 29_999;
    expect(verified.find('a.b.c')).toBe(principal);
    expect(verified.find('a.b.d')).toBe(undefined);
    time = 30_000;
    expect(verified.find('a.b.c')).toBe(undefined);
    time = 0;
    expect(verified.find('a.b.c'), 'forgotten for good').toBe(undefined);
  });

  it('are 10,000 at most: the oldest are forgotten first', () => {
    const verified = createVerifiedTokens(() => 0);
    for (let index = 0; index <= 10_000; index += 1) verified.add(`a.b.${index}`, principal);
    expect(verified.find('a.b.0')).toBe(undefined);
    expect(verified.find('a.b.1')).toBe(principal);
    expect(verified.find('a.b.10000')).toBe(principal);
  });
});
