import { healthCheckSchema } from '@cygni/core';
import { describe, expect, it } from 'vitest';
import { createHealthJudge } from '../src/judge-health.ts';

const check = healthCheckSchema.parse({
  healthyThreshold: 2,
  unhealthyThreshold: 3,
  startPeriodSeconds: 10,
});
const early = 1_000;
const late = 11_000;

function judge(...probes: ['ok' | 'bad' | 'refused', number][]) {
  const judged = createHealthJudge(check);
  for (const [kind, at] of probes) {
    const ok = kind === 'ok';
    judged.add({ time: '', ok, status: null, durationMs: 1, error: null }, at, kind === 'refused');
  }
  return judged;
}

describe('the health of an instance', () => {
  it('is unknown until a threshold is reached', () => {
    expect(judge().health).toBe('unknown');
    expect(judge(['ok', early]).health).toBe('unknown');
    expect(judge(['ok', early], ['ok', early]).health).toBe('healthy');
    expect(judge(['bad', late], ['bad', late]).health).toBe('unknown');
    expect(judge(['bad', late], ['bad', late], ['bad', late]).health).toBe('unhealthy');
  });

  it('needs the results in a row', () => {
    expect(judge(['ok', late], ['bad', late], ['ok', late]).health).toBe('unknown');
    const flapping = judge(
      ['bad', late],
      ['bad', late],
      ['ok', late],
      ['bad', late],
      ['bad', late],
    );
    expect(flapping.health).toBe('unknown');
  });

  it('ignores failures in the start period, unless it was healthy before', () => {
    expect(judge(['bad', early], ['bad', early], ['bad', early]).health).toBe('unknown');
    const sick = judge(
      ['ok', early],
      ['ok', early],
      ['bad', early],
      ['bad', early],
      ['bad', early],
    );
    expect(sick.health).toBe('unhealthy');
  });

  it('never counts a refused connection in the start period', () => {
    const refused: ['refused', number][] = [
      ['refused', early],
      ['refused', early],
      ['refused', early],
    ];
    expect(judge(['ok', early], ['ok', early], ...refused).health).toBe('healthy');
    expect(judge(['refused', late], ['refused', late], ['refused', late]).health).toBe('unhealthy');
  });

  it('is regained by enough successes', () => {
    const sick: ['bad', number][] = [
      ['bad', late],
      ['bad', late],
      ['bad', late],
    ];
    expect(judge(...sick, ['ok', late]).health).toBe('unhealthy');
    expect(judge(...sick, ['ok', late], ['ok', late]).health).toBe('healthy');
  });

  it('keeps the last 20 results', () => {
    const many = judge(...Array.from({ length: 25 }, (_, at): ['ok', number] => ['ok', at]));
    expect(many.probes).toHaveLength(20);
  });
});
