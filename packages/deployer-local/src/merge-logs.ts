/** Puts the lines of several logs in the order of their RFC 3339 timestamps, which are taken off. */
export function mergeLogs(logs: readonly string[], limit: number): string[] {
  return logs
    .flatMap((log) => log.split('\n'))
    .filter((line) => line !== '')
    .map((line) => {
      const at = line.indexOf(' ');
      return at < 0
        ? { time: line, text: '' }
        : { time: line.slice(0, at), text: line.slice(at + 1) };
    })
    .sort((left, right) => Date.parse(left.time) - Date.parse(right.time))
    .slice(-limit)
    .map(({ text }) => text.replace(/\r$/, ''));
}
