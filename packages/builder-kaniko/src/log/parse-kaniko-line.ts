/** A line of kaniko's own, with the wrapping of its log format taken off. */
export interface KanikoLine {
  readonly level: string;
  readonly message: string;
}

const text = /^time="[^"]{1,64}" level=([a-z]{1,16}) msg=(.*)$/s;
const goEscape = /\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8})|(.))/gis;
const named: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};

/**
 * Reads `--log-format=text` and `json`; null: something else wrote the line.
 * A RUN step can write a line that looks the same: what this returns is a claim, never a proof.
 */
export function parseKanikoLine(line: string): KanikoLine | null {
  if (line.startsWith('{"')) return parseJson(line);
  const [, level, rest] = text.exec(line) ?? [];
  if (level === undefined || rest === undefined) return null;
  return { level, message: unquoted(rest) };
}

function parseJson(line: string): KanikoLine | null {
  try {
    const { level, msg }: { level?: unknown; msg?: unknown } = JSON.parse(line);
    if (typeof level !== 'string' || typeof msg !== 'string') return null;
    return { level, message: msg };
  } catch {
    return null;
  }
}

/** Undoes Go's `%q`, which logrus uses for whatever is not one plain word. */
function unquoted(value: string): string {
  if (!value.startsWith('"')) return value;
  const end = value.length > 1 && value.endsWith('"') ? -1 : undefined;
  return value.slice(1, end).replace(goEscape, (_, byte, unit, point, other) => {
    const code = Number.parseInt(byte ?? unit ?? point ?? '', 16);
    if (!Number.isNaN(code)) return code <= 0x10ffff ? String.fromCodePoint(code) : '\u{fffd}';
    return named[other] ?? other;
  });
}
