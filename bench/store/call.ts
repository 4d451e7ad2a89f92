import type { Call } from '@cygni/core';

export const call: Call = {
  signal: new AbortController().signal,
  log: { debug() {}, info() {}, warn() {}, error() {} },
};
