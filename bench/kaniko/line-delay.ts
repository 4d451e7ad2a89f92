import { CoreV1Api, KubeConfig } from '@kubernetes/client-node';
import type { Api } from '../../e2e/support/api.ts';
import { median, percentile } from './measure.ts';
import { untilReadable } from './until-readable.ts';

const rounds = 7;
const linesEach = 30;
const goalMs = 300;

/**
 * Prints how long a line takes from kaniko printing it, by the clock of the node, which is this machine's, to who follows
 * the log over HTTP. The kubelet gives no log of a container before its look once a second saw it run: the first line is
 * measured from the later of its printing and the moment at which the API server gave it to who asked all the time.
 */
export async function reportLineDelay(on: {
  readonly api: Api;
  readonly kubeconfig: string;
  readonly namespace: string;
}): Promise<void> {
  const first: number[] = [];
  const followed: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const delays = await delaysOfBuild(on, round);
    first.push(delays.first);
    followed.push(...delays.followed);
  }
  console.log(`a line, from printed to arrived over HTTP, of ${rounds} builds`);
  console.log(`  first, once readable  ${inWords(first)}`);
  console.log(`  while followed        ${inWords(followed)}`);
}

function inWords(delays: readonly number[]): string {
  const rounded = [median(delays), percentile(delays, 95)].map(Math.round);
  return `median ${rounded[0]} ms, p95 ${rounded[1]} ms of ${delays.length}   (goal: at most ${goalMs} ms)`;
}

async function delaysOfBuild(
  { api, kubeconfig, namespace }: Parameters<typeof reportLineDelay>[0],
  round: number,
): Promise<{ readonly first: number; readonly followed: readonly number[] }> {
  const config = new KubeConfig();
  config.loadFromFile(kubeconfig);
  // Of this round alone, so that the step does not come from the layer cache.
  const step = `for i in $(seq ${linesEach}); do echo line $i; sleep 0.1; done; echo ${namespace}-${round}`;
  const { id } = await api.build(
    { Dockerfile: `FROM busybox:1\nRUN ${step}\n` },
    { repository: namespace },
  );
  const selector = `cygni.dev/build=${id}`;
  const readable = untilReadable(config.makeApiClient(CoreV1Api), namespace, selector).then(() =>
    Date.now(),
  );
  readable.catch(() => {});
  const lines: { readonly printed: number; readonly arrived: number }[] = [];
  for await (const { time } of api.followLines(id)) {
    lines.push({ printed: Date.parse(time), arrived: Date.now() });
  }
  const [first] = lines;
  if (!first) throw new Error(`${id}: no line of its log arrived`);
  return {
    // Whoever asks all the time pauses too, and may come later than the server does.
    first: Math.max(0, first.arrived - Math.max(first.printed, await readable)),
    followed: lines
      .filter(({ printed }) => printed > first.arrived)
      .map(({ printed, arrived }) => arrived - printed),
  };
}
