import { describe, expect, it } from 'vitest';
import { kindOfAddress } from '../src/client/address.ts';
import { createGuardedAgents } from '../src/client/guarded-agents.ts';
import { createImageClient } from '../src/index.ts';
import { callWith } from './support/call.ts';
import { sha256 } from './support/image.ts';
import { listen } from './support/listen.ts';
import { reply, scriptedRegistry } from './support/scripted-registry.ts';

const call = callWith();
const retry = { retries: 1, firstDelayMs: 1 };
const refused = { code: 'forbidden', retryable: false };

describe('an address', () => {
  it.each([
    ['169.254.169.254', 'metadata'],
    ['169.254.170.2', 'metadata'],
    ['100.100.100.200', 'metadata'],
    ['fd00:ec2::254', 'metadata'],
    ['::ffff:169.254.169.254', 'metadata'],
    ['::ffff:a9fe:a9fe', 'metadata'],
    ['64:ff9b::a9fe:a9fe', 'metadata'],
    ['64:ff9b::169.254.169.254', 'metadata'],
    ['fe80::1', 'metadata'],
    ['not an address', 'metadata'],
    ['127.0.0.1', 'private'],
    ['0.0.0.0', 'private'],
    ['10.1.2.3', 'private'],
    ['172.31.255.255', 'private'],
    ['192.168.0.1', 'private'],
    ['100.64.0.1', 'private'],
    ['::1', 'private'],
    ['::ffff:10.0.0.1', 'private'],
    ['64:ff9b::a00:1', 'private'],
    ['fc00::1', 'private'],
    ['172.32.0.1', 'public'],
    ['8.8.8.8', 'public'],
    ['2600::1', 'public'],
  ])('%s is %s', (address, kind) => {
    expect(kindOfAddress(address)).toBe(kind);
  });
});

describe('the image client and where it is led', () => {
  it.each([
    '169.254.169.254',
    '[::ffff:169.254.169.254]',
    '[fd00:ec2::254]',
    '0xa9fea9fe',
    '2852039166',
    '169.254.43518',
    '100.100.100.200',
  ])('never speaks to a metadata service, not as a registry (%s)', async (host) => {
    await using client = createImageClient({ retry });
    const location = { host, repository: 'latest/meta-data', insecure: true };
    await expect(client.getManifest(location, 'one', call)).rejects.toMatchObject(refused);
  });

  it.each(['169.254.169.254', '2852039166', '[64:ff9b::a9fe:a9fe]'])(
    'nor where a redirect or a token realm says so (%s)',
    async (host) => {
      await using registry = await scriptedRegistry((seen, response) =>
        seen.path.includes('/blobs/')
          ? reply(response, 307, { location: `http://${host}/latest/meta-data` })
          : reply(response, 401, { 'www-authenticate': `Bearer realm="http://${host}/token"` }),
      );
      await using client = createImageClient({ retry });
      const location = registry.location();
      const digest = sha256(Buffer.from('x'));
      await expect(client.getBlob(location, digest, call)).rejects.toMatchObject(refused);
      await expect(client.getManifest(location, 'one', call)).rejects.toMatchObject(refused);
      expect(registry.seen).toHaveLength(2);
    },
  );

  it('follows nobody from a public address to a private one, whatever its name is', async () => {
    let asked = 0;
    await using inside = await listen((_, response) => {
      asked += 1;
      response.end();
    });
    const agents = createGuardedAgents(5000);
    const led = agents.ledBy(new URL('https://registry.example/'));
    try {
      for (const host of ['127.0.0.1', 'localhost', '[::ffff:127.0.0.1]']) {
        const request = led.request({
          origin: `http://${host}:${inside.port}`,
          path: '/',
          method: 'GET',
        });
        await expect(request).rejects.toMatchObject(refused);
      }
      expect(asked).toBe(0);
      // The same address, named by the caller.
      const named = await agents.named.request({
        origin: `http://${inside.host}`,
        path: '/',
        method: 'GET',
      });
      await named.body.dump();
      expect(asked).toBe(1);
      expect(agents.ledBy(new URL(`http://${inside.host}/`))).toBe(agents.named);
    } finally {
      await agents.close();
    }
  });
});
