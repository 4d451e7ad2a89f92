import type { MachineSize } from '../model/build.ts';

/** Work that is about to be accepted, at its worst. */
export type PlannedWork =
  | {
      readonly kind: 'build';
      readonly machine: MachineSize;
      readonly timeoutSeconds: number;
      readonly maximumAttempts: number;
      readonly maximumImageBytes: number;
    }
  | { readonly kind: 'deployment' };

/** Work that was done. */
export type Usage =
  | {
      readonly kind: 'build';
      readonly machine: MachineSize;
      /** Over all attempts that the tenant pays for. */
      readonly durationMs: number;
      /** 0 where nothing was pushed. */
      readonly imageBytes: number;
    }
  | { readonly kind: 'deployment' };

export interface BudgetLimit {
  /** Micro-units; null: no cap. */
  readonly cap: number | null;
  /** ISO 8601, inclusive. */
  readonly periodStart: string;
  /** ISO 8601, exclusive; null: the period never ends. */
  readonly periodEnd: string | null;
}

/** Prices. Pure: no I/O, no clock of its own. Amounts are integers in micro-units of `currency`. */
export interface BudgetPolicy {
  readonly name: string;
  /** ISO 4217 */
  readonly currency: string;
  /** Percent of the cap at which an event is emitted, once a period. */
  readonly alertAt: readonly number[];
  /** The most that the work can cost. Reserved before it starts. */
  quote(work: PlannedWork): number;
  /** What it cost. Never more than `quote` of the same work. */
  charge(usage: Usage): number;
  limit(tenantId: string, now: Date): BudgetLimit;
}
