import type { Call } from '../contracts/call.ts';
import type { NoticeReceipt, Notifier } from '../contracts/notifier.ts';
import type { DeliveryClaim, DeliveryFinish } from '../contracts/store.ts';
import { isCygniError } from '../errors.ts';
import { lastWords, type PlatformContext } from './context.ts';
import { pauseAfter } from './delivery-schedule.ts';
import { retryWhileUnavailable } from './retry.ts';

/** Tries one delivery and records what came of it. What cannot be recorded is tried again once the lease has run out. */
export async function deliver(
  context: PlatformContext,
  claim: DeliveryClaim,
  call: Call,
): Promise<void> {
  const { store, metrics, log } = context;
  const { endpoint } = claim.target;
  const name = claim.target.endpoint ? null : claim.target.notifier;
  const notifier = context.notifiers.find((each) =>
    name === null ? each.endpoints !== null : each.name === name,
  );
  if (!notifier) return;
  const finish =
    endpoint?.disabledReason == null
      ? await attempt(notifier, claim, call)
      : failure({ status: null, error: 'the endpoint is disabled' }, null);
  metrics.notices.inc({ notifier: notifier.name, state: finish.state.toLowerCase() });
  if (finish.state === 'FAILED') {
    const { error, status } = finish;
    const { tenantId, id } = claim.event;
    log.warn({ notifier: notifier.name, tenantId, eventId: id, error, status }, 'not delivered');
  }
  const last = lastWords(log);
  await retryWhileUnavailable(last.signal, () => store.finishDelivery(claim.fence, finish, last));
}

async function attempt(
  notifier: Notifier,
  { event, target, tries }: DeliveryClaim,
  call: Call,
): Promise<DeliveryFinish> {
  let receipt: NoticeReceipt;
  try {
    receipt = await notifier.notify({ event, endpoint: target.endpoint }, call);
  } catch (error) {
    if (call.signal.aborted) {
      // Nobody knows whether it arrived: it is sent again, by whoever is there, at once.
      return { ...failure({ status: null, error: null }, 0), counted: false };
    }
    receipt = { outcome: 'refused', status: null, error: reasonOf(error) };
    if (!isCygniError(error)) call.log.error({ err: error }, 'a notifier failed');
  }
  if (receipt.outcome === 'gone') {
    const error = 'the endpoint answered 410 Gone';
    return { ...failure({ ...receipt, error }, null), disableEndpoint: error };
  }
  if (receipt.outcome === 'refused') return failure(receipt, pauseAfter(tries + 1));
  return { ...failure(receipt, null), state: 'DELIVERED' };
}

/** @param retryInSeconds null: it is not tried again */
function failure(
  { status, error }: Pick<NoticeReceipt, 'status' | 'error'>,
  retryInSeconds: number | null,
): DeliveryFinish {
  return {
    ...{ state: retryInSeconds === null ? 'FAILED' : 'PENDING', status, error },
    ...{ retryInSeconds: retryInSeconds ?? 0, counted: true, disableEndpoint: null },
  };
}

function reasonOf(error: unknown): string {
  if (!isCygniError(error)) return 'the notifier failed';
  return error.code === 'internal' ? 'the notifier failed' : error.message;
}
