/** What the store needs of `pg.PoolClient`. */
export interface PoolClient {
  query(query: {
    name?: string;
    text: string;
    values?: unknown[];
    types?: TypeParsers;
  }): Promise<{ rows: unknown[] }>;
  release(destroy?: boolean): void;
  on(event: 'error', listener: (error: Error) => void): unknown;
  removeListener(event: 'error', listener: (error: Error) => void): unknown;
}

/** What the store needs of `pg.Pool`. */
export interface Pool {
  connect(): Promise<PoolClient>;
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'connect', listener: (client: PoolClient) => void): unknown;
  removeListener(event: 'error', listener: (error: Error) => void): unknown;
  removeListener(event: 'connect', listener: (client: PoolClient) => void): unknown;
}

export interface TypeParsers {
  // biome-ignore lint/suspicious/noExplicitAny: pg's own signature
  getTypeParser(oid: number, format?: any): any;
}
