import type { Call } from '@cygni/core';

export function callWith(signal: AbortSignal = AbortSignal.timeout(20_000)): Call {
  return { signal, log: { debug() {}, info() {}, warn() {}, error() {} } };
}
