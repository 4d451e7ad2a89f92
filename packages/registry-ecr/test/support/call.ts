import type { Call } from '@cygni/core';

/** A call that gives up after twenty seconds, so that a test that waits for ever fails by name. */
export function testCall(signal?: AbortSignal): Call {
  const patience = AbortSignal.timeout(20_000);
  const log = { debug() {}, info() {}, warn() {}, error() {} };
  return { signal: signal ? AbortSignal.any([signal, patience]) : patience, log };
}
