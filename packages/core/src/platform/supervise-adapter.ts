import { type Adapter, type Call, SPEC_VERSION } from '../contracts/call.ts';
import { CygniError, isCygniError } from '../errors.ts';
import { linkSignals } from '../link-signals.ts';
import type { Metrics } from './metrics.ts';
import { settleOrAbort } from './settle-or-abort.ts';
import { inClientSpan } from './spans.ts';

/** Milliseconds by method name; null: the call ends by itself when its signal aborts, and is waited for. */
export type CallTimeouts = Readonly<Record<string, number | null>>;

const defaultTimeoutMs = 30_000;

function isCall(value: unknown): value is Call {
  return typeof value === 'object' && value !== null && 'signal' in value && 'log' in value;
}

/**
 * Wraps an adapter once: its version is checked, and each asynchronous call gets a timeout, rejects when
 * aborted even if the adapter does not look at the signal, is measured, and rejects with a CygniError only.
 * Adapters stay thin because of it.
 * @throws `invalid_configuration` if the adapter was written for another version of the contracts
 */
export function superviseAdapter<Supervised extends Adapter>(
  contract: string,
  adapter: Supervised,
  metrics: Metrics,
  timeouts: CallTimeouts = {},
): Supervised {
  if (adapter.specVersion !== SPEC_VERSION) {
    throw new CygniError(
      'invalid_configuration',
      `${contract} adapter ${adapter.name} speaks version ${adapter.specVersion} of the contracts, not ${SPEC_VERSION}`,
    );
  }

  async function supervised(
    operation: string,
    method: (...parameters: unknown[]) => unknown,
    parameters: unknown[],
    outer: Call,
  ): Promise<unknown> {
    const timeoutMs = timeouts[operation] === undefined ? defaultTimeoutMs : timeouts[operation];
    using bounds = timeoutMs === null ? null : linkSignals([outer.signal], timeoutMs);
    const signal = bounds?.signal ?? outer.signal;
    const end = metrics.adapterRequests.startTimer({ adapter: contract, operation });
    try {
      const inner: Call = { signal, log: outer.log };
      const settled = Promise.resolve(method.apply(adapter, [...parameters.slice(0, -1), inner]));
      const result = await (bounds ? settleOrAbort(settled, signal) : settled);
      end({ outcome: 'ok' });
      return result;
    } catch (error) {
      const mapped = isCygniError(error)
        ? error
        : new CygniError('internal', `${contract} adapter ${adapter.name}: ${operation} failed`, {
            cause: error,
          });
      end({ outcome: mapped.code });
      throw mapped;
    }
  }

  return new Proxy(adapter, {
    get(target, property, receiver) {
      const value: unknown = Reflect.get(target, property, receiver);
      if (typeof value !== 'function' || typeof property !== 'string') return value;
      const method = value as (...parameters: unknown[]) => unknown;
      return (...parameters: unknown[]) => {
        const call = parameters.at(-1);
        // Without a call (`close`) or with a stream as its answer (`list`), there is nothing to bound here.
        if (!isCall(call) || property === 'list') return method.apply(target, parameters);
        return inClientSpan(`${contract} ${property}`, () =>
          supervised(property, method, parameters, call),
        );
      };
    },
  });
}
