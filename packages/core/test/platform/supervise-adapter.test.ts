import { getEventListeners } from 'node:events';
import { type Adapter, abortedError, type Call, isCygniError, SPEC_VERSION } from '@cygni/core';
import { describe, expect, it } from 'vitest';
import { createMetrics } from '../../src/platform/metrics.ts';
import { superviseAdapter } from '../../src/platform/supervise-adapter.ts';
import { testCall } from '../fixtures/call.ts';

const idleQueue = async () => ({ depth: { build: 0, deployment: 0 }, oldestAgeSeconds: 0 });

function supervise<Method>(method: Method, timeoutMs?: number) {
  const adapter = {
    specVersion: SPEC_VERSION,
    name: 'fixture',
    open: async () => {},
    close: async () => {},
    work: method,
  } as const satisfies Adapter & { work: Method };
  const metrics = createMetrics(idleQueue);
  const timeouts = timeoutMs === undefined ? {} : { work: timeoutMs };
  return { metrics, adapter: superviseAdapter('store', adapter, metrics, timeouts) };
}

describe('a supervised adapter', () => {
  it('is refused if it was written for another version of the contracts', () => {
    const adapter = { specVersion: 2, name: 'future', open: async () => {}, close: async () => {} };
    expect(() =>
      // What a package built against another core would hand over.
      superviseAdapter('store', adapter as unknown as Adapter, createMetrics(idleQueue)),
    ).toThrow(/future speaks version 2/);
  });

  it('rejects with `timeout` if it never settles', async () => {
    const { adapter } = supervise((_call: Call) => new Promise<void>(() => {}), 5);
    await expect(adapter.work(testCall())).rejects.toSatisfy((error) =>
      isCygniError(error, 'timeout'),
    );
  });

  it('rejects with `aborted` at once if the caller aborts, even if the adapter does not look', async () => {
    const { adapter } = supervise((_call: Call) => new Promise<void>(() => {}));
    const abort = new AbortController();
    const working = adapter.work(testCall(abort.signal));
    abort.abort();
    await expect(working).rejects.toSatisfy((error) => isCygniError(error, 'aborted'));
  });

  it('tells the adapter by its signal that the time is over, or that the caller aborts', async () => {
    const told: unknown[] = [];
    const { adapter } = supervise((call: Call) => {
      call.signal.addEventListener('abort', () => told.push(abortedError(call.signal).code));
      return new Promise<void>(() => {});
    }, 5);
    await expect(adapter.work(testCall())).rejects.toMatchObject({ code: 'timeout' });
    const abort = new AbortController();
    const working = adapter.work(testCall(abort.signal));
    abort.abort();
    await expect(working).rejects.toMatchObject({ code: 'aborted' });
    expect(told).toEqual(['timeout', 'aborted']);
  });

  it('leaves no listener at the caller’s signal once it has settled', async () => {
    const { adapter } = supervise(async (_call: Call) => {});
    const { signal } = new AbortController();
    const call = { ...testCall(), signal };
    await adapter.work(call);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  it('turns a foreign error into `internal`, keeping the cause', async () => {
    const cause = new TypeError('undefined is not a function');
    const { adapter } = supervise(async (_call: Call) => {
      throw cause;
    });
    await expect(adapter.work(testCall())).rejects.toMatchObject({ code: 'internal', cause });
  });

  it('is measured by operation and outcome', async () => {
    const { adapter, metrics } = supervise(async (_call: Call) => 'done');
    expect(await adapter.work(testCall())).toBe('done');
    expect(await metrics.registry.metrics()).toContain(
      'cygni_adapter_request_duration_seconds_count{adapter="store",operation="work",outcome="ok"} 1',
    );
  });
});
