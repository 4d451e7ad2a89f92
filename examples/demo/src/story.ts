import type { Build, Deployment } from '@cygni/core';
import type { ApiClient } from './api-client.ts';
import type { Report } from './report.ts';
import { watchService } from './watch-service.ts';

const service = 'hello';
const expectedText = 'This is version 1.';
/** `$(PORT)` is what the deployer sets. All addresses, because a container's own loopback is not the machine's. */
const startArguments = ['--servedir=/site', '--serve=0.0.0.0:$(PORT)', '--watch=forever'];
const healthCheck = { path: '/', intervalSeconds: 0.2, startPeriodSeconds: 2 };
const rollout = { deadlineSeconds: 30, bakeSeconds: 2 };

function require(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(message);
}

function requireState({ state, evidence }: Deployment, expected: Deployment['state']): void {
  require(state === expected, `the deployment is ${state}: ${JSON.stringify(evidence, null, 2)}`);
}

async function buildImage(
  api: ApiClient,
  report: Report,
  sourceId: string,
  dockerfile: string,
): Promise<Build> {
  const { id } = await api.build({ sourceId, repository: 'hello-site', dockerfile });
  report.say(`build ${id} accepted; its log:`);
  for await (const line of api.followLog(id)) report.quote(line);
  const build = await api.getBuild(id);
  require(build.image !== null, `the build is ${build.state}: ${build.failure?.message}`);
  report.say(`image ${build.image.reference}`);
  report.say(`digest ${build.image.digest}, ${money(build.cost ?? 0, build.currency)}`);
  return build;
}

/** 1. Source in, image out. */
export async function buildHelloSite(
  api: ApiClient,
  report: Report,
  archive: Uint8Array<ArrayBuffer>,
): Promise<Build> {
  const source = await api.upload(archive);
  report.say(`source ${source.id} uploaded, ${source.sizeBytes} bytes`);
  return buildImage(api, report, source.id, 'Dockerfile');
}

/** 2. The image runs, and the right version answers. */
export async function deployHelloSite(
  api: ApiClient,
  report: Report,
  build: Build,
): Promise<string> {
  const deployment = await deploy(api, report, build);
  requireState(deployment, 'SUCCEEDED');
  const { url } = await api.getService(service);
  require(url !== null, 'the service has no address');
  report.say(`${service} answers at ${url}`);
  const text = await (await fetch(url)).text();
  require(text.includes(expectedText), `not the right version: ${text}`);
  report.quote(expectedText);
  return url;
}

/** 3. A sick version never gets through, and the old one goes on answering. */
export async function deploySickVersion(
  api: ApiClient,
  report: Report,
  options: { readonly url: string; readonly sourceId: string; readonly signal: AbortSignal },
): Promise<void> {
  const build = await buildImage(api, report, options.sourceId, 'Dockerfile.broken');
  const users = watchService(options.url, expectedText, options.signal);
  const deployment = await deploy(api, report, build);
  const answers = await users.stop();

  const { evidence } = deployment;
  requireState(deployment, 'ROLLED_BACK');
  require(evidence !== null, 'no evidence was kept');
  require(answers.wrong.length === 0, `users saw ${answers.wrong.join(', ')}`);
  require(answers.right > 0, 'nobody asked the old version');

  report.say(`rolled back to revision ${evidence.rolledBackTo}: ${evidence.rule}`);
  report.say(evidence.message);
  for (const probe of evidence.probes) {
    report.quote(`${probe.time} GET / → ${probe.status ?? 'no answer'} ${probe.error ?? ''}`);
  }
  report.say('its last log lines:');
  for (const line of evidence.logLines.slice(-8)) report.quote(line);
  report.say(`meanwhile the old version answered ${answers.right} requests of ${answers.right}`);
}

/** 4. What cannot be paid for is not begun. */
export async function exceedBudget(
  api: ApiClient,
  report: Report,
  sourceId: string,
): Promise<void> {
  const { spent, currency } = await api.getBudget();
  const { limit } = await api.setBudget(spent + 1_000);
  report.say(
    `spent so far ${money(spent, currency)}; the cap is now ${money(limit ?? 0, currency)}`,
  );
  const { status, body } = await api.tryBuild({ sourceId, repository: 'hello-site' });
  require(status === 402, `expected 402, got ${status}`);
  report.say(`the next build gets ${status} ${body.title}:`);
  for (const name of ['limit', 'spent', 'reserved', 'estimate', 'resetsAt']) {
    report.quote(`${name}: ${body[name]}`);
  }
}

async function deploy(api: ApiClient, report: Report, build: Build): Promise<Deployment> {
  const request = { service, buildId: build.id, arguments: startArguments, healthCheck, rollout };
  const { id, revision } = await api.deploy(request);
  report.say(`deployment ${id} of revision ${revision} accepted`);
  const ended = await api.waitForDeployment(id, (phase) => report.say(`… ${phase.toLowerCase()}`));
  report.say(`deployment ${ended.state}`);
  return ended;
}

function money(microUnits: number, currency: string): string {
  return `${(microUnits / 1_000_000).toFixed(6)} ${currency}`;
}
