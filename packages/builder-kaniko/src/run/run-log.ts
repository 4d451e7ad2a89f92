import type { Call, PipelineLogLine } from '@cygni/core';
import { createChange } from './signal-change.ts';

const keptBytes = 1024 ** 2;

/** Lines after position `after`, from where the log comes from. */
export type OpenLog = (after: number, call: Call) => AsyncIterable<PipelineLogLine>;

/** The log of one run: read once from the cluster, and from here by any number of readers. */
export interface RunLog {
  /** Waits while a reader is so far behind that its next lines would be dropped. */
  write(line: PipelineLogLine, call: Call): Promise<void>;
  /** `note`: what every reader is told after its last line. */
  end(note?: string): void;
  read(after: number, call: Call): AsyncGenerator<PipelineLogLine>;
}

/**
 * Keeps the newest lines, about 1 MiB. A reader that comes too late for some of them gets them from the cluster, if the run
 * is still there; else its first line is the oldest that was kept.
 */
export function createRunLog(open: OpenLog): RunLog {
  let lines: PipelineLogLine[] = [];
  let bytes = 0;
  let isEnded = false;
  let lastNote: { readonly time: string; readonly text: string } | null = null;
  const change = createChange();
  /** Positions that readers have had. */
  const readers = new Set<{ position: number }>();

  const sizeOf = ({ text }: PipelineLogLine) => text.length + 64;

  /** Makes room for many lines at once, as copying the rest takes time. False: a reader still needs the oldest line. */
  function makeRoom(): boolean {
    let dropped = 0;
    for (const line of lines) {
      if (bytes <= keptBytes * 0.75) break;
      for (const { position } of readers) {
        if (position < line.position && position >= line.position - 1) {
          lines = lines.slice(dropped);
          return bytes <= keptBytes;
        }
      }
      bytes -= sizeOf(line);
      dropped += 1;
    }
    lines = lines.slice(dropped);
    return true;
  }

  return {
    async write(line, call) {
      lines.push(line);
      bytes += sizeOf(line);
      change.happened();
      if (bytes <= keptBytes) return;
      for (let seen = change.count; !makeRoom(); seen = change.count) {
        await change.since(seen, call.signal);
      }
    },

    end(note) {
      isEnded = true;
      if (note !== undefined) lastNote = { time: new Date().toISOString(), text: note };
      change.happened();
    },

    async *read(after, call) {
      const reader = { position: after };
      readers.add(reader);
      try {
        for (;;) {
          const first = lines[0];
          if (first && first.position > reader.position + 1 && !isEnded) {
            for await (const line of open(reader.position, call)) {
              reader.position = line.position;
              yield line;
              if ((lines[0]?.position ?? Number.POSITIVE_INFINITY) <= line.position + 1) break;
            }
          }
          // Lines may be dropped from the front at any moment, so each is looked up anew.
          const oldest = lines[0]?.position ?? 0;
          const line = lines[Math.max(0, reader.position + 1 - oldest)];
          if (line) {
            yield line;
            reader.position = line.position;
            change.happened();
          } else if (isEnded) {
            if (lastNote) yield { ...lastNote, position: reader.position + 1 };
            return;
          } else {
            await change.since(change.count, call.signal);
          }
        }
      } finally {
        readers.delete(reader);
        change.happened();
      }
    },
  };
}
