export const poolSize = 10;
export const tenant = 'acme';
export const sourceId = '0b9d4cbe-6e6b-4d3f-9c54-1f6f0e4a8a11';

export interface Role {
  readonly system: 'bare' | 'cygni';
  readonly databaseUrl: string;
  /** Builds are worked on too: each prints this many lines a second for so long. */
  readonly chatter: { readonly linesPerSecond: number; readonly seconds: number } | null;
}

/** What the server's process says: where it listens, then, asked again and again, what it has used. */
export type Report =
  | { readonly is: 'ready'; readonly port: number; readonly token: string }
  | { readonly is: 'used'; readonly cpuMs: number; readonly residentBytes: number };
