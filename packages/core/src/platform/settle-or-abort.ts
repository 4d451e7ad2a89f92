import { abortedError } from '../errors.ts';

/** Settles as the promise does, or rejects with `aborted` or `timeout` once the signal aborts. What the promise does later is ignored. */
export function settleOrAbort<Value>(promise: Promise<Value>, signal: AbortSignal): Promise<Value> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(abortedError(signal));
    if (signal.aborted) {
      promise.catch(() => {});
      return abort();
    }
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
