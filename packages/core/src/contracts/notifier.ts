import type { AuditEvent } from '../model/event.ts';
import type { Adapter, Call } from './call.ts';

/** Tells others what happened. Called at least once an event. */
export interface Notifier extends Adapter {
  notify(event: AuditEvent, call: Call): Promise<void>;
}
