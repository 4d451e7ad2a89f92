import type { HealthCheck, Instance, ProbeResult } from '@cygni/core';

export interface HealthJudge {
  readonly health: Instance['health'];
  /** The newest results, oldest first. */
  readonly probes: readonly ProbeResult[];
  /**
   * @param sinceStartMs how long after the start the probe ended
   * @param refused nobody listened, which says nothing while the process still starts
   */
  add(result: ProbeResult, sinceStartMs: number, refused: boolean): void;
}

const kept = 20;

/** Turns probe results into health, by the thresholds and the start period of a health check. */
export function createHealthJudge(check: HealthCheck): HealthJudge {
  let health: Instance['health'] = 'unknown';
  let probes: ProbeResult[] = [];
  let successes = 0;
  let failures = 0;
  let wasHealthy = false;

  function counts(sinceStartMs: number, refused: boolean): boolean {
    if (sinceStartMs >= check.startPeriodSeconds * 1000) return true;
    return wasHealthy && !refused;
  }

  return {
    get health() {
      return health;
    },
    get probes() {
      return probes;
    },
    add(result, sinceStartMs, refused) {
      probes = [...probes, result].slice(-kept);
      if (result.ok) {
        failures = 0;
        successes += 1;
        if (successes >= check.healthyThreshold) {
          health = 'healthy';
          wasHealthy = true;
        }
        return;
      }
      successes = 0;
      if (!counts(sinceStartMs, refused)) return;
      failures += 1;
      if (failures >= check.unhealthyThreshold) health = 'unhealthy';
    },
  };
}
