import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { type Scene, setScene } from '../support/scene.ts';
import { uncached } from '../support/uncached.ts';

const services = inject('services');
const builds = 50;
const allBuildsMs = 150_000;

describe(`${builds} builds at once on one worker`, () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await setScene(services);
  });
  afterAll(() => scene[Symbol.asyncDispose]());

  it('all succeed, each with an image and a log of its own', async () => {
    await using server = await scene.startServer({
      REGISTRY_URL: `http://${services.cluster.registry}`,
      BUILD_CONCURRENCY: '16',
    });
    const sourceId = await server.api.upload({
      Dockerfile: uncached(
        'FROM busybox:1\nARG NUMBER\nRUN echo I am number $NUMBER. | tee /number\n',
      ),
    });
    const repository = scene.namespace.name;
    const numbers = Array.from({ length: builds }, (_, number) => String(number));
    const accepted = await Promise.all(
      numbers.map((NUMBER) =>
        server.api.start({ sourceId, repository, buildArguments: { NUMBER } }),
      ),
    );
    const finished = await Promise.all(
      accepted.map(({ id }) => server.api.finish(id, allBuildsMs)),
    );
    expect(finished.map(({ failure }) => failure)).toEqual(numbers.map(() => null));
    expect(new Set(finished.map(({ image }) => image?.digest)).size).toBe(builds);
    for (const [index, { id }] of finished.entries()) {
      const lines = (await server.api.readLog(id)).split('\n');
      const own = lines.filter((line) => line.startsWith('I am number '));
      expect(own).toEqual([`I am number ${index}.`]);
    }
  });
});
