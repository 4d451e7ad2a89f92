import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { createGate } from '../support/gate.ts';
import { type Scene, setScene } from '../support/scene.ts';

const services = inject('services');
/** From the end of a worker, of which nobody is told, to what the next one stores. The server's leases last 10 s. */
const takeoverMs = 15_000;

describe('a build whose worker goes away', () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await setScene(services);
  });
  afterAll(() => scene[Symbol.asyncDispose]());

  it.each([
    { signal: 'SIGKILL', exitCode: null },
    { signal: 'SIGTERM', exitCode: 0 },
  ] as const)('is continued by another in 15 s, not built again, after $signal', async (given) => {
    await using gate = await createGate(services.cluster.nodeIp);
    const environment = { REGISTRY_URL: `http://${services.cluster.registry}` };
    await using first = await scene.startServer(environment);
    const files = {
      Dockerfile: `FROM busybox:1
RUN echo before the gate && wget -qO- ${gate.url} && echo behind the gate
RUN for i in $(seq 100); do echo line $i of 100; done
`,
    };
    const { id } = await first.api.build(files, { repository: scene.namespace.name });
    await gate.arrived(1);
    await first.api.waitForLine(id, 'before the gate');
    const [job] = await scene.namespace.jobs();

    await using second = await scene.startServer(environment);
    const ended = performance.now();
    expect(await first.stop(given.signal)).toBe(given.exitCode);
    const [same] = await scene.namespace.jobs();
    expect(same?.metadata?.uid).toBe(job?.metadata?.uid);
    // Nobody watches when the step ends, or the second has taken over: both must do.
    gate.open();
    // Not a word of the instruction, which kaniko prints before it is run.
    await second.api.waitForLine(id, 'line 1 of 100');
    expect(performance.now() - ended).toBeLessThan(takeoverMs);

    const build = await second.api.finish(id);
    expect(build.failure).toBeNull();
    expect(build.image?.digest).toMatch(/^sha256:/);
    expect(gate.arrivals).toBe(1);
    const log = (await second.api.readLog(id)).split('\n');
    for (const line of ['before the gate', 'behind the gate', 'line 1 of 100', 'line 100 of 100']) {
      expect(
        log.filter((text) => text === line),
        line,
      ).toHaveLength(1);
    }
  });
});
