import { randomBytes } from 'node:crypto';
import { createSealedStore } from '@cygni/core';
import { judgeStore } from './support/judge-store.ts';

judgeStore((store) => createSealedStore(store, { keys: [{ id: 'key', key: randomBytes(32) }] }));
