export const scopes = [
  'builds:read',
  'builds:write',
  'deployments:read',
  'deployments:write',
  'budgets:read',
  'budgets:write',
  'webhooks:read',
  'webhooks:write',
  'images:read',
  'images:write',
] as const;
export type Scope = (typeof scopes)[number];

/** Who asks. */
export interface Principal {
  readonly tenantId: string;
  readonly subject: string;
  readonly scopes: ReadonlySet<Scope>;
  /** Images only: the one repository that the token opens; null: all of the tenant's. */
  readonly repository: string | null;
  /** Seconds since the epoch. */
  readonly expiresAt: number;
}
