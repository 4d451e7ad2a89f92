import { type RegistryUnderTest, registryConformance } from '@cygni/core/conformance';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createImageClient, createOciRegistry } from '../src/index.ts';
import {
  debianCredentials,
  debianRegistry,
  debianRegistryPresent,
} from './support/debian-registry.ts';
import { embedded } from './support/embedded.ts';
import { issuingTokens } from './support/issued-tokens.ts';
import { tokenServer } from './support/token-server.ts';

const functions = { describe, it, expect, beforeEach, afterEach };
/**
 * So short that the tests of a stopped server need not wait; so many because docker-registry answers 500
 * to who reads a manifest while others write it again.
 */
const retry = { retries: 8, firstDelayMs: 5, longestDelayMs: 20 };

describe('the embedded registry, open to all', () => {
  registryConformance(functions, {
    tags: 'mutable',
    credentials: 'anonymous',
    async create() {
      const served = await embedded();
      const stop = () => served[Symbol.asyncDispose]();
      return registryAt(served.host, { stop, dispose: stop });
    },
  });
});

describe('the embedded registry, with a token for each repository', () => {
  registryConformance(functions, {
    tags: 'mutable',
    credentials: 'repository',
    async create() {
      const tokens = issuingTokens({ lifetimeSeconds: 600 });
      const served = await embedded({ authorize: tokens.authorize });
      const stop = () => served[Symbol.asyncDispose]();
      return registryAt(served.host, {
        stop,
        dispose: stop,
        credentials: tokens.issue,
        elapse: tokens.elapse,
      });
    },
  });
});

const present = await debianRegistryPresent();

describe.skipIf(!present)('Debian’s docker-registry', () => {
  registryConformance(functions, {
    tags: 'mutable',
    credentials: 'anonymous',
    async create() {
      const served = await debianRegistry();
      return registryAt(served.host, { stop: served.stop, dispose: served[Symbol.asyncDispose] });
    },
  });
});

describe.skipIf(!present)('Debian’s docker-registry, behind a password', () => {
  registryConformance(functions, {
    tags: 'mutable',
    credentials: 'account',
    async create() {
      const served = await debianRegistry({ authenticated: true });
      return registryAt(served.host, {
        stop: served.stop,
        dispose: served[Symbol.asyncDispose],
        credentials: () => ({ ...debianCredentials, expiresAt: null, reach: 'account' }),
      });
    },
  });
});

describe.skipIf(!present)('Debian’s docker-registry, with signed tokens', () => {
  registryConformance(functions, {
    tags: 'mutable',
    credentials: 'account',
    async create() {
      const tokens = await tokenServer();
      const served = await debianRegistry({ token: tokens.auth });
      return registryAt(served.host, {
        stop: served.stop,
        async dispose() {
          await served[Symbol.asyncDispose]();
          await tokens[Symbol.asyncDispose]();
        },
        credentials: () => ({ ...debianCredentials, expiresAt: null, reach: 'account' }),
      });
    },
  });
});

function registryAt(
  host: string,
  server: {
    readonly stop: () => PromiseLike<void>;
    readonly dispose: () => PromiseLike<void>;
    readonly credentials?: Parameters<typeof createOciRegistry>[0]['credentials'];
    readonly elapse?: (seconds: number) => void;
  },
): RegistryUnderTest {
  const images = createImageClient({ retry });
  const registry = createOciRegistry({
    host,
    insecure: true,
    client: images,
    ...(server.credentials && { credentials: server.credentials }),
  });
  return {
    registry,
    images,
    prefix: 'acme',
    async elapse(seconds) {
      server.elapse?.(seconds);
    },
    async stop() {
      await server.stop();
    },
    async dispose() {
      await registry.close();
      await images.close();
      await server.dispose();
    },
  };
}
