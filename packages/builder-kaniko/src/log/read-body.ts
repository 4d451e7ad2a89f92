import type { LogBody } from './container-log.ts';

/** complete: the server ended it. failed: it broke off. quiet: nothing came for too long, so it was given up. */
export type BodyEnd = 'complete' | 'failed' | 'quiet';

export interface BodyLimits {
  /** The longest wait for one piece. */
  readonly quietMs: number;
  /** Once this has resolved, the longest wait for one piece is `drainMs`. */
  readonly end?: Promise<void>;
  readonly drainMs?: number;
}

/** Reads a body as long as it lives. Time that the reader takes between two pieces does not count. */
export async function* readBody(
  body: LogBody,
  { quietMs, end, drainMs = quietMs }: BodyLimits,
): AsyncGenerator<Uint8Array, BodyEnd, undefined> {
  const pieces = body[Symbol.asyncIterator]();
  // Giving a body up makes it emit an error.
  body.on('error', () => {});
  let limitMs = quietMs;
  let wake: () => void = () => {};
  end?.then(() => {
    limitMs = drainMs;
    wake();
  });

  /** Resolves when the limit, which may shrink on the way, has passed. */
  function quiet(): { readonly passed: Promise<'quiet'>; stop(): void } {
    const began = performance.now();
    let timer: NodeJS.Timeout | undefined;
    const passed = new Promise<'quiet'>((resolve) => {
      wake = () => {
        clearTimeout(timer);
        const sinceNow = limitMs === quietMs ? quietMs - (performance.now() - began) : limitMs;
        timer = setTimeout(() => resolve('quiet'), sinceNow);
      };
      wake();
    });
    return { passed, stop: () => clearTimeout(timer) };
  }

  try {
    for (;;) {
      const next = pieces.next();
      next.catch(() => {});
      const watch = quiet();
      try {
        const piece = await Promise.race([next, watch.passed]);
        if (piece === 'quiet') return 'quiet';
        if (piece.done) return 'complete';
        yield piece.value;
      } finally {
        watch.stop();
      }
    }
  } catch {
    return 'failed';
  } finally {
    body.destroy();
  }
}
