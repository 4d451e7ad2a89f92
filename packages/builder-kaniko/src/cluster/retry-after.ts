const longestMs = 30_000;

/** The pause that an answer asks for, and up to a quarter more, since many are told the same; null: it asks for none. */
export function retryAfterMs(
  headers: Readonly<Record<string, string | string[] | undefined>>,
): number | null {
  const seconds = Number(headers['retry-after']);
  return seconds > 0 ? Math.min(seconds * 1_000, longestMs) * (1 + Math.random() / 4) : null;
}
