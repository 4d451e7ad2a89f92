/** One way to wake up a worker through Redis. */
export interface Contender {
  readonly name: string;
  enqueue(ids: readonly string[]): Promise<void>;
  /** Starts to consume, at most `concurrency` at once; calls `onStart` where a handler would begin. */
  consume(concurrency: number, onStart: (id: string) => void): Promise<Consuming>;
  close(): Promise<void>;
}

interface Consuming {
  stop(): Promise<void>;
}

/** Under its own keys in the Redis at `url`. */
export type CreateContender = (url: string, prefix: string) => Promise<Contender>;
