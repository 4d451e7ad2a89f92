import type { RegistryCredentials } from '@cygni/core';
import { describe, expect, it } from 'vitest';
import { renewalDelayMs } from '../src/run/build-secrets.ts';

const now = Date.parse('2026-01-01T00:00:00Z');
const until = (seconds: number | null): RegistryCredentials => ({
  username: 'u',
  password: 'p',
  expiresAt: seconds === null ? null : new Date(now + seconds * 1000).toISOString(),
  reach: 'repository',
});

function delaySeconds(own: number | null, base: number | null = null): number | null {
  const credentials = new Map([['acme/site', until(own)]]);
  const baseImages = new Map([['acme/base', until(base)]]);
  const delay = renewalDelayMs({ credentials, baseImages }, now);
  return delay === null ? null : delay / 1000;
}

describe('credentials of a build', () => {
  it('are renewed so early that a node has time to hand them on', () => {
    expect(delaySeconds(12 * 3600)).toBe(12 * 3600 - 180);
    expect(delaySeconds(3600, 1800)).toBe(1800 - 180);
  });

  it('that last for minutes are renewed at half their time, not all the time', () => {
    expect(delaySeconds(300)).toBe(150);
    expect(delaySeconds(60)).toBe(30);
    expect(delaySeconds(-10)).toBe(1);
  });

  it('that last are never renewed', () => {
    expect(delaySeconds(null)).toBe(null);
  });
});
