const pauseMs = 50;

/** Asks a service again and again, as its users do, until it is stopped; then tells what was answered. */
export function watchService(url: string, expected: string, signal: AbortSignal) {
  let stopped = false;
  const answers = { right: 0, wrong: [] as string[] };

  async function ask(): Promise<void> {
    try {
      const response = await fetch(url, { signal });
      const text = await response.text();
      if (response.ok && text.includes(expected)) answers.right += 1;
      else answers.wrong.push(String(response.status));
    } catch (error) {
      if (!signal.aborted) answers.wrong.push(String(error));
    }
  }

  const asking = (async () => {
    while (!stopped && !signal.aborted) {
      await ask();
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  })();

  return {
    async stop() {
      stopped = true;
      await asking;
      return answers;
    },
  };
}
