import { get } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { HealthCheck, ProbeResult } from '@cygni/core';
import { createHealthJudge, type HealthJudge } from './judge-health.ts';
import { systemCode } from './map-error.ts';

/**
 * Asks an instance on a loopback port for its health until the signal aborts.
 * @param startedMsAgo how long it runs already
 */
export function probeRegularly(
  check: HealthCheck,
  { port, startedMsAgo }: { readonly port: number; readonly startedMsAgo: number },
  signal: AbortSignal,
): HealthJudge {
  const judge = createHealthJudge(check);
  const startedAt = performance.now() - startedMsAgo;
  const probing = async () => {
    while (!signal.aborted) {
      const next = performance.now() + check.intervalSeconds * 1000;
      const { result, refused } = await probe(check, port, signal);
      if (signal.aborted) return;
      judge.add(result, performance.now() - startedAt, refused);
      await sleep(Math.max(0, next - performance.now()), undefined, { signal });
    }
  };
  probing().catch(() => {});
  return judge;
}

async function probe(
  check: HealthCheck,
  port: number,
  signal: AbortSignal,
): Promise<{ result: ProbeResult; refused: boolean }> {
  const time = new Date().toISOString();
  const start = performance.now();
  const timeout = AbortSignal.timeout(check.timeoutSeconds * 1000);
  try {
    const status = await ask(check.path, port, AbortSignal.any([signal, timeout]));
    const ok = status >= 200 && status < 400;
    const error = ok ? null : `answered ${status}`;
    const result = { time, ok, status, durationMs: performance.now() - start, error };
    return { result, refused: false };
  } catch (cause) {
    const refused = systemCode(cause) === 'ECONNREFUSED';
    const error = timeout.aborted
      ? `no answer within ${check.timeoutSeconds} s`
      : refused
        ? 'connection refused'
        : `no answer: ${systemCode(cause) ?? 'malformed'}`;
    const durationMs = performance.now() - start;
    return { result: { time, ok: false, status: null, durationMs, error }, refused };
  }
}

function ask(path: string, port: number, signal: AbortSignal): Promise<number> {
  return new Promise((resolve, reject) => {
    const request = get(
      {
        host: '127.0.0.1',
        port,
        path,
        signal,
        agent: false,
        headers: { 'user-agent': 'cygni-health', connection: 'close' },
      },
      (response) => {
        // The body is not read: it may have no end.
        response.destroy();
        resolve(response.statusCode ?? 0);
      },
    );
    request.on('error', reject);
  });
}
