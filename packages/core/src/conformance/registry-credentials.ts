import { putBytes, type RegistryFixture, type RegistryTraits } from './registry-fixture.ts';
import type { TestFunctions } from './test-functions.ts';

const daySeconds = 86_400;

export function testCredentials(
  { describe, it, expect }: TestFunctions,
  current: () => RegistryFixture,
  traits: RegistryTraits,
) {
  const refused = { code: 'forbidden', retryable: false };

  describe('credentials', () => {
    it('say what they open and until when', async () => {
      const { registry, call, newRepository } = current();
      const credentials = await registry.credentials(await newRepository(), ['pull'], call);
      const { username, password, reach, expiresAt } = credentials;
      const anonymous = traits.credentials === 'anonymous';
      expect(reach).toBe(anonymous ? 'repository' : traits.credentials);
      expect([username === '', password === '']).toEqual([anonymous, anonymous]);
      if (expiresAt === null) return;
      expect(new Date(expiresAt).toISOString().slice(0, 19)).toBe(expiresAt.slice(0, 19));
      expect(Date.parse(expiresAt) > Date.now()).toBe(true);
    });

    it('open the repository to many who asked at once', async () => {
      const { registry, images, call, newRepository, location, push } = current();
      const repository = await newRepository();
      const { digest } = await push(repository, ['one']);
      const asked = Array.from({ length: 8 }, () =>
        registry.credentials(repository, ['pull'], call),
      );
      for (const credentials of await Promise.all(asked)) {
        const reader = await location(repository, ['pull'], credentials);
        expect((await images.getManifest(reader, 'one', call)).digest).toBe(digest);
      }
    });

    it('are renewed before they stop working', async () => {
      const { registry, images, call, newRepository, location, push, elapse } = current();
      const repository = await newRepository();
      const { digest } = await push(repository, ['one']);
      const old = await registry.credentials(repository, ['pull'], call);
      const left =
        old.expiresAt === null ? 0 : Math.ceil((Date.parse(old.expiresAt) - Date.now()) / 1000);
      await elapse(Math.max(daySeconds, left + 60));
      if (old.expiresAt !== null) {
        const late = await location(repository, ['pull'], old);
        await expect(images.getManifest(late, 'one', call)).rejects.toMatchObject(refused);
      }
      const renewed = await location(repository, ['pull']);
      expect((await images.getManifest(renewed, 'one', call)).digest).toBe(digest);
      expect((await registry.resolve(repository, 'one', call)).digest).toBe(digest);
    });

    if (traits.credentials !== 'repository') return;

    it('of one repository open no other', async () => {
      const { registry, images, call, newRepository, location, push } = current();
      const [own, other] = [await newRepository(), await newRepository()];
      await push(other, ['one']);
      const credentials = await registry.credentials(own, ['pull', 'push', 'delete'], call);
      const stranger = await location(other, [], credentials);
      await expect(images.getManifest(stranger, 'one', call)).rejects.toMatchObject(refused);
      const content = Buffer.from('anything');
      await expect(putBytes(images, stranger, content, call)).rejects.toMatchObject(refused);
    });

    it('for pulling do not push', async () => {
      const { images, call, newRepository, location, push } = current();
      const repository = await newRepository();
      await push(repository, ['one']);
      const reader = await location(repository, ['pull']);
      const content = Buffer.from('anything');
      await expect(putBytes(images, reader, content, call)).rejects.toMatchObject(refused);
    });
  });
}
