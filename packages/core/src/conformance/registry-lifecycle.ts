import type { Call } from '../contracts/call.ts';
import type { Registry } from '../contracts/registry.ts';
import { absentDigest, type RegistryFixture } from './registry-fixture.ts';
import type { TestFunctions } from './test-functions.ts';

type Methods = Omit<Registry, 'specVersion' | 'name' | 'host' | 'insecure' | 'close'>;

export function testRegistryLifecycle(
  { describe, it, expect }: TestFunctions,
  current: () => RegistryFixture,
) {
  const every: {
    readonly [Method in keyof Methods]: (
      registry: Registry,
      repository: string,
      call: Call,
    ) => Promise<unknown>;
  } = {
    open: (registry, _, call) => registry.open(call),
    ensureRepository: (registry, name, call) => registry.ensureRepository(name, call),
    credentials: (registry, name, call) => registry.credentials(name, ['pull'], call),
    resolve: (registry, name, call) => registry.resolve(name, 'one', call),
    tag: (registry, name, call) => registry.tag(name, absentDigest, 'two', call),
    listTags: (registry, name, call) => registry.listTags(name, { limit: 1 }, call),
    deleteImage: (registry, name, call) => registry.deleteImage(name, absentDigest, call),
  };

  describe('the life of a registry', () => {
    it('opens and closes any number of times', async () => {
      const { registry, call } = current();
      await Promise.all([registry.open(call), registry.open(call)]);
      await Promise.all([registry.close(), registry.close()]);
      await registry.close();
    });

    it('can be closed before it was opened', async () => {
      await current().registry.close();
    });

    it('does nothing for a call that is aborted', async () => {
      const { registry, call, newName } = current();
      const { open: _, ...methods } = every;
      const aborted = { ...call, signal: AbortSignal.abort() };
      for (const method of Object.values(methods)) {
        await expect(method(registry, newName(), aborted)).rejects.toMatchObject({
          code: 'aborted',
          retryable: false,
        });
      }
    });

    it('lets go of a call that is aborted on the way', async () => {
      const { registry, call, newRepository, push } = current();
      const repository = await newRepository();
      await push(repository, ['one']);
      const controller = new AbortController();
      const pending = registry.resolve(repository, 'one', { ...call, signal: controller.signal });
      controller.abort();
      await expect(pending).rejects.toMatchObject({ code: 'aborted', retryable: false });
    });

    it('does nothing once it is closed, and what was lent to it still works', async () => {
      const { registry, images, call, newRepository, location, push } = current();
      const repository = await newRepository();
      const { digest } = await push(repository, ['one']);
      const reader = await location(repository, ['pull']);
      await registry.close();
      for (const method of Object.values(every)) {
        await expect(method(registry, repository, call)).rejects.toMatchObject({
          code: 'closed',
          retryable: false,
        });
      }
      expect((await images.getManifest(reader, 'one', call)).digest).toBe(digest);
    });

    it('says that the server does not answer, and that asking later may help', async () => {
      const { registry, call, newRepository, push, stop } = current();
      const repository = await newRepository();
      const { digest } = await push(repository, ['one']);
      await stop();
      const unavailable = { code: 'unavailable', retryable: true };
      const asked = [
        registry.resolve(repository, 'one', call),
        registry.tag(repository, digest, 'two', call),
        registry.listTags(repository, { limit: 1 }, call),
        registry.deleteImage(repository, digest, call),
      ];
      await Promise.allSettled(asked);
      for (const each of asked) await expect(each).rejects.toMatchObject(unavailable);
      // What needs no server may succeed; what needs one says the same.
      for (const method of [every.ensureRepository, every.credentials]) {
        const answer = method(registry, repository, call).then(
          () => unavailable,
          (error: unknown) => error,
        );
        expect(await answer).toMatchObject(unavailable);
      }
    });
  });
}
