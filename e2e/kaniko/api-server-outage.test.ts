import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { runClusterProgram } from '../support/cluster.ts';
import { createGate } from '../support/gate.ts';
import { type Scene, setScene } from '../support/scene.ts';

const services = inject('services');
const outageMs = 10_000;

const { programs } = services.cluster;
// Another's API server is not ours to stop.
if (programs === null)
  process.stderr.write('SKIPPED: no CLUSTER_PROGRAMS, so no API server was stopped\n');

describe.skipIf(programs === null)(
  'a build during which the API server is stopped for ten seconds',
  () => {
    let scene: Scene;
    beforeAll(async () => {
      scene = await setScene(services);
    });
    afterAll(() => scene[Symbol.asyncDispose]());

    it('goes on, and loses no line of its log', async () => {
      await using gate = await createGate(services.cluster.nodeIp);
      await using server = await scene.startServer({
        REGISTRY_URL: `http://${services.cluster.registry}`,
      });
      const Dockerfile = `FROM busybox:1
RUN echo before the outage && wget -qO- ${gate.url} && for i in $(seq 50); do echo during the outage $i; sleep 0.1; done
RUN wget -qO- ${gate.url} && echo after the outage
`;
      const { id } = await server.api.build({ Dockerfile }, { repository: scene.namespace.name });
      await gate.arrived(1);
      await server.api.waitForLine(id, 'before the outage');

      await runClusterProgram(programs ?? '', 'stop-api-server');
      try {
        gate.open();
        await sleep(outageMs);
      } finally {
        await runClusterProgram(programs ?? '', 'up');
      }

      const build = await server.api.finish(id);
      expect(build.failure).toBeNull();
      expect(build.attempt).toBe(1);
      const log = await server.api.readLog(id);
      const during = log.match(/^during the outage \d+$/gm);
      expect(during).toEqual(Array.from({ length: 50 }, (_, i) => `during the outage ${i + 1}`));
      expect(log.match(/^after the outage$/gm)).toHaveLength(1);
    });
  },
);
