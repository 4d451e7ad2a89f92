const plain = process.env.NO_COLOR !== undefined || !process.stdout.isTTY;

function paint(code: number, text: string): string {
  return plain ? text : `\u001b[${code}m${text}\u001b[0m`;
}

/** Log lines come from a build: only printable characters reach the terminal. */
function printable(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, ' ');
}

export interface Report {
  /** Runs one step, and keeps how long it took for the table. */
  step<Value>(title: string, work: () => Promise<Value>): Promise<Value>;
  say(text: string): void;
  quote(line: string): void;
  table(): void;
}

export function createReport(): Report {
  const rows: { readonly title: string; readonly seconds: number }[] = [];
  return {
    async step(title, work) {
      console.log(`\n${paint(1, `${rows.length + 1}. ${title}`)}`);
      const startedAt = performance.now();
      const value = await work();
      rows.push({ title, seconds: (performance.now() - startedAt) / 1000 });
      return value;
    },
    say: (text) => console.log(`   ${text}`),
    quote: (line) => console.log(paint(2, `   │ ${printable(line)}`)),
    table() {
      const width = Math.max(...rows.map(({ title }) => title.length));
      console.log(`\n${paint(1, 'Done')}`);
      for (const { title, seconds } of rows) {
        console.log(`   ${title.padEnd(width)}  ${seconds.toFixed(1).padStart(6)} s`);
      }
    },
  };
}
