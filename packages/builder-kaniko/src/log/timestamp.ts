/** When a line was written, to the nanosecond, as the node's runtime saw it. */
export interface Timestamp {
  readonly seconds: number;
  readonly nanoseconds: number;
}

const format = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)$/;

/** Reads RFC 3339 with up to nine decimals; null: it is none. Nodes write their own time zone. */
export function parseTimestamp(text: string): Timestamp | null {
  const [, second, fraction = '', zone] = format.exec(text) ?? [];
  if (second === undefined) return null;
  const milliseconds = Date.parse(`${second}${zone}`);
  if (Number.isNaN(milliseconds)) return null;
  return { seconds: milliseconds / 1000, nanoseconds: Number(fraction.padEnd(9, '0')) };
}

/** ISO 8601 in UTC, with nanoseconds. */
export function formatTimestamp({ seconds, nanoseconds }: Timestamp): string {
  return `${formatSecond(seconds).slice(0, -1)}.${String(nanoseconds).padStart(9, '0')}Z`;
}

/** ISO 8601 in UTC, to the second. */
export function formatSecond(seconds: number): string {
  return `${new Date(seconds * 1000).toISOString().slice(0, 19)}Z`;
}

export function compareTimestamps(a: Timestamp, b: Timestamp): number {
  return a.seconds - b.seconds || a.nanoseconds - b.nanoseconds;
}
