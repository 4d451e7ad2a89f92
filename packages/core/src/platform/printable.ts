/** A control sequence, a string sequence (title, clipboard, link) to its end or that of the line, or any other escape. */
const escapes =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  /\u001b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[ -/]*[0-~])?/g;
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const colour = /^\u001b\[[0-9;:]*m$/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const controls = /[\u0001-\u0008\u000b-\u001a\u001c-\u001f\u007f-\u009f]/g;

/**
 * A line as it may be shown on anybody's terminal: of control sequences only colours are left, so that it can move no
 * cursor, clear no screen and fill no clipboard.
 */
export function toPrintable(text: string): string {
  return (
    text
      .replaceAll(escapes, (sequence) => (colour.test(sequence) ? sequence : ''))
      // What is behind keeps the search from beginning again within the same line breaks.
      .replace(/(?<![\r\n])[\r\n]+$/, '')
      .replaceAll(/[\r\n]/g, ' ')
      .replaceAll('\0', '\u{fffd}')
      .replaceAll(controls, '')
      .toWellFormed()
  );
}
