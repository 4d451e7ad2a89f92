import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import { createParser } from 'eventsource-parser';
import { acceptBuild, authorized } from './load.ts';
import type { ServerProcess } from './server-process.ts';

const sampleMs = 500;

export interface Streamed {
  readonly readers: number;
  readonly lines: number;
  readonly seconds: number;
  /** Of the server: when all readers were there, and the most after that. */
  readonly residentMib: { readonly begin: number; readonly most: number };
  /** Of one core. */
  readonly cpuShare: number;
}

/** Readers that all follow one build, to its end. */
export async function followBuild(server: ServerProcess, readers: number): Promise<Streamed> {
  const agent = new Agent({ maxSockets: readers });
  const id = await acceptBuild(server);
  const streams = await Promise.all(
    Array.from({ length: readers }, () => openStream(server, id, agent)),
  );
  const startedAt = performance.now();
  const begin = await server.used();
  let most = begin.residentBytes;
  let over = false;
  const reading = Promise.all(streams.map(countLines)).finally(() => {
    over = true;
  });
  while (!over) {
    await Promise.race([reading, new Promise((resolve) => setTimeout(resolve, sampleMs))]);
    most = Math.max(most, (await server.used()).residentBytes);
  }
  const counts = await reading;
  const end = await server.used();
  const elapsedMs = performance.now() - startedAt;
  agent.destroy();
  const lines = Math.max(...counts);
  if (counts.some((count) => count !== lines)) throw new Error('some readers have missed lines');
  const mib = (bytes: number) => bytes / 1024 ** 2;
  return {
    readers,
    lines,
    seconds: elapsedMs / 1_000,
    residentMib: { begin: mib(begin.residentBytes), most: mib(most) },
    cpuShare: (end.cpuMs - begin.cpuMs) / elapsedMs,
  };
}

async function openStream(
  server: ServerProcess,
  id: string,
  agent: Agent,
): Promise<IncomingMessage> {
  const headers = { ...authorized(server), accept: 'text/event-stream' };
  const asked = request(`${server.url}/v1/builds/${id}/logs`, { agent, headers }).end();
  const [response] = (await once(asked, 'response')) as [IncomingMessage];
  if (response.statusCode !== 200) throw new Error(`a stream was answered ${response.statusCode}`);
  return response;
}

async function countLines(stream: IncomingMessage): Promise<number> {
  let lines = 0;
  const parser = createParser({
    onEvent({ id }) {
      if (id !== undefined) lines += 1;
    },
  });
  for await (const chunk of stream.setEncoding('utf8')) parser.feed(chunk);
  return lines;
}
