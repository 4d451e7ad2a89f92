import { judgeStore } from './support/judge-store.ts';

judgeStore((store) => store);
