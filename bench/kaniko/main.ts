import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { Api } from '../../e2e/support/api.ts';
import { packArchive } from '../../e2e/support/archive.ts';
import { putObject } from '../../e2e/support/put-object.ts';
import { setScene } from '../../e2e/support/scene.ts';
import { startServices } from '../../e2e/support/services.ts';
import { bareJob } from './bare-job.ts';
import { createBareJobs } from './bare-jobs.ts';
import { forgetEndedContainers } from './forget-ended-containers.ts';
import { reportLineDelay } from './line-delay.ts';
import { cpuSeconds, median, peakMegabytes } from './measure.ts';

const rounds = 20;
/**
 * How often the kubelet looks at its containers: when it looks next counts for more than all that differs. So the rounds
 * begin at moments that are spread over that second, the same for both, and in leaps, since its looks drift.
 */
const lookMs = 1_000;
const leap = 0.618;
const atOnce = 60;
const manyRounds = 5;
const inFlight = 12;
const manyMs = 300_000;
/** Each look is work for the server that is measured. */
const manyLookMs = 250;
const dockerfiles = {
  scratch: 'FROM scratch\nCOPY Dockerfile /\n',
  'busybox with a RUN': 'FROM busybox:1\nRUN echo built > /built\n',
};

await using services = await startServices();
await using scene = await setScene(services);
const { cluster, s3 } = services;
await using server = await scene.startServer({
  REGISTRY_URL: `http://${cluster.registry}`,
  BUILD_CONCURRENCY: String(inFlight),
});
const bare = createBareJobs(cluster.kubeconfig, scene.namespace.name);
const authority = await bare.putAuthority(await readFile(s3.authorityFile, 'utf8'));
let made = 0;

function nextBareJob(contextUrl: string) {
  made += 1;
  return bareJob({
    name: `bare-${made}`,
    image: cluster.kanikoImage,
    contextUrl,
    authority,
    destination: `${cluster.registry}/${scene.namespace.name}/bare:${made}`,
    cacheRepository: `${cluster.registry}/${scene.namespace.name}/bare-cache`,
    registry: cluster.registry,
  });
}

for (const [name, Dockerfile] of Object.entries(dockerfiles)) {
  const files = { Dockerfile };
  const url = await putObject(s3, `bench/${made}.tar.gz`, await packArchive(files));
  const sourceId = await server.api.upload(files);
  // Once each for what is only slow the first time.
  await bare.run(nextBareJob(url));
  await buildOnce(server.api, sourceId);
  const pairs = [];
  // In turns, so that both meet the same machine.
  for (let round = 0; round < rounds; round += 1) {
    await untilMoment(round);
    const bareTimes = await bare.run(nextBareJob(url));
    await untilMoment(round);
    pairs.push({ bare: bareTimes, ours: await buildOnce(server.api, sourceId) });
  }
  const complete = median(pairs.map((pair) => pair.bare.completeMs));
  const succeeded = median(pairs.map((pair) => pair.ours.succeededMs));
  const bareLine = median(pairs.map((pair) => pair.bare.firstLineMs));
  const readable = median(pairs.map((pair) => pair.bare.readableMs));
  const ourLine = median(pairs.map((pair) => pair.ours.firstLineMs));
  console.log(`${name}, median of ${rounds}`);
  console.log(`  POST → SUCCEEDED      ${seconds(succeeded)}`);
  console.log(`  bare Job → Complete   ${seconds(complete)}`);
  console.log(
    `  ratio                 ${(succeeded / complete).toFixed(2)}   (goal: at most 0.40)`,
  );
  console.log(`  first log line        ${seconds(ourLine)}`);
  console.log(`  bare, readable        ${seconds(readable)}, printed ${seconds(bareLine)}`);
  console.log(
    `  behind the bare one   ${Math.round(ourLine - readable)} ms   (goal: at most 150 ms)`,
  );
}

await reportLineDelay({
  api: server.api,
  kubeconfig: cluster.kubeconfig,
  namespace: scene.namespace.name,
});

const files = { Dockerfile: dockerfiles.scratch };
const url = await putObject(s3, 'bench/many.tar.gz', await packArchive(files));
const sourceId = await server.api.upload(files);
const many = [];
let failed = 0;
const cpuBefore = await cpuSeconds(server.processId);
for (let round = 0; round < manyRounds; round += 1) {
  // Each of them first in every other round, since the node changes its pace.
  const ours = round % 2 === 1 ? await buildMany() : null;
  await forgetEndedContainers();
  const bareMs = await bare.runAll(Array.from({ length: atOnce }, () => nextBareJob(url)));
  many.push({ bareMs, ...(ours ?? (await buildMany())) });
}
const cpu = (await cpuSeconds(server.processId)) - cpuBefore;
const ratios = many.map(({ ourMs, bareMs }) => ourMs / bareMs);
console.log(`${atOnce} at once, ${inFlight} in flight, median of ${manyRounds}`);
console.log(`  until all SUCCEEDED   ${seconds(median(many.map(({ ourMs }) => ourMs)))}`);
console.log(`  bare, all Complete    ${seconds(median(many.map(({ bareMs }) => bareMs)))}`);
console.log(
  `  ratio                 ${median(ratios).toFixed(2)}, of ${ratios.map((ratio) => ratio.toFixed(2)).join(' ')}   (goal: at most 1.00)`,
);
console.log(
  `  last behind the 58th  ${many.map(({ stragglingMs }) => seconds(stragglingMs)).join(' ')}`,
);
console.log(
  `our process: ${Math.round((cpu / atOnce / manyRounds) * 1000)} ms of CPU a build, at most`,
);
console.log(`  ${Math.round(await peakMegabytes(server.processId))} MB resident`);
process.exitCode = failed > 0 ? 1 : 0;

async function buildMany() {
  await forgetEndedContainers();
  const start = performance.now();
  const repository = scene.namespace.name;
  const builds = await Promise.all(
    Array.from({ length: atOnce }, () => server.api.start({ sourceId, repository })),
  );
  const ends: number[] = [];
  // One after the other: asking for all of them all the time would be work of its own.
  for (const { id } of builds) {
    const build = await server.api.finish(id, manyMs, manyLookMs);
    if (build.state !== 'SUCCEEDED') {
      failed += 1;
      console.log(`${id}: ${JSON.stringify(build.failure)}`);
    }
    ends.push(Date.parse(build.finishedAt ?? ''));
  }
  const ourMs = performance.now() - start;
  const [last = 0, , third = 0] = ends.toSorted((a, b) => b - a);
  return { ourMs, stragglingMs: last - third };
}

function untilMoment(round: number): Promise<void> {
  const moment = lookMs * ((leap * round) % 1);
  return delay((moment - (Date.now() % lookMs) + lookMs) % lookMs);
}

/** As a user meets it: over HTTP, the log followed from the start. */
async function buildOnce(api: Api, source: string) {
  const posted = performance.now();
  const { id } = await api.start({ sourceId: source, repository: scene.namespace.name });
  let firstLineMs: number | undefined;
  for await (const _line of api.followLog(id)) firstLineMs ??= performance.now() - posted;
  // It ends by an event that tells how the build has ended.
  const succeededMs = performance.now() - posted;
  const build = await api.finish(id);
  if (build.state !== 'SUCCEEDED') throw new Error(`${id}: ${JSON.stringify(build.failure)}`);
  return { succeededMs, firstLineMs: firstLineMs ?? succeededMs };
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`;
}
