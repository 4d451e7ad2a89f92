/** `lost`: accepted and not ended. `doubled`: happened twice, or by whom it should not. `unbalanced`: money. `broken`: any other promise. */
export type FindingKind = 'lost' | 'doubled' | 'unbalanced' | 'broken';

export interface Finding {
  readonly kind: FindingKind;
  readonly what: string;
  /** The build that it is about. */
  readonly buildId?: string;
}
