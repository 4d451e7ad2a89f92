import {
  createFlatBudget,
  createMeteredBudget,
  createUnlimitedBudget,
  isCygniError,
} from '@cygni/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

const gibibyte = 1024 ** 3;

describe('the metered budget', () => {
  const budget = createMeteredBudget({
    buildMinute: { small: 6_000, medium: 12_000, large: 24_000 },
    storedGibibyte: 1_000_000,
    deployment: 500,
    cap: 10_000_000,
  });

  it('charges by the minute and machine size, rounded up to a micro-unit', () => {
    const usage = { kind: 'build', durationMs: 1_001, imageBytes: 0 } as const;
    expect(budget.charge({ ...usage, machine: 'small' })).toBe(101);
    expect(budget.charge({ ...usage, machine: 'large' })).toBe(401);
  });

  it('charges by the GiB stored and by the deployment', () => {
    const usage = { kind: 'build', machine: 'small', durationMs: 0 } as const;
    expect(budget.charge({ ...usage, imageBytes: gibibyte / 2 })).toBe(500_000);
    expect(budget.charge({ kind: 'deployment' })).toBe(500);
  });

  it('never charges more than it quoted for work inside its bounds', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('small', 'medium', 'large'),
        fc.integer({ min: 10, max: 7_200 }),
        fc.integer({ min: 1, max: 10 }),
        fc.integer({ min: 0, max: 4 * gibibyte }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (machine, timeoutSeconds, maximumAttempts, maximumImageBytes, used) => {
          const quote = budget.quote({
            kind: 'build',
            machine,
            timeoutSeconds,
            maximumAttempts,
            maximumImageBytes,
          });
          const charge = budget.charge({
            kind: 'build',
            machine,
            durationMs: timeoutSeconds * 1000 * maximumAttempts * used,
            imageBytes: Math.floor(maximumImageBytes * used),
          });
          return Number.isSafeInteger(quote) && Number.isSafeInteger(charge) && charge <= quote;
        },
      ),
    );
  });

  it('has the calendar month in UTC as its period', () => {
    expect(budget.limit('acme', new Date('2026-12-31T23:59:59.999Z'))).toEqual({
      cap: 10_000_000,
      periodStart: '2026-12-01T00:00:00.000Z',
      periodEnd: '2027-01-01T00:00:00.000Z',
    });
  });

  it('refuses a rate that is not a whole number of micro-units, naming it', () => {
    expect(() => createMeteredBudget({ deployment: 0.5 })).toThrow(
      expect.toSatisfy(
        (error: unknown) =>
          isCygniError(error, 'invalid_configuration') && error.message.includes('deployment'),
      ),
    );
  });
});

describe('the flat budget', () => {
  it('quotes and charges the same, whatever the work takes', () => {
    const budget = createFlatBudget({ build: 100, deployment: 7 });
    expect(
      budget.charge({ kind: 'build', machine: 'large', durationMs: 9e9, imageBytes: 9e12 }),
    ).toBe(100);
    expect(budget.quote({ kind: 'deployment' })).toBe(7);
  });
});

describe('the unlimited budget', () => {
  it('costs nothing and has no cap', () => {
    const budget = createUnlimitedBudget();
    expect(budget.quote({ kind: 'deployment' })).toBe(0);
    expect(budget.limit('acme', new Date()).cap).toBeNull();
  });
});
