import type { LookupFunction } from 'node:net';
import { type OutboundPolicy, resolveOutbound } from '@cygni/core/outbound';
import { Agent } from 'undici';
import type { ResolvedOptions } from './options.ts';

const connectTimeoutMs = 10_000;
/** An endpoint's answer means its status; what else it says is read to keep the connection, if it is short. */
const maximumHeaderBytes = 16_384;

/** Connects to addresses that were looked at, and to no other: a connection's own lookup does it. */
export function createGuardedAgent(
  { ca, lookup }: ResolvedOptions,
  policy: OutboundPolicy,
  signal: AbortSignal,
): Agent {
  const guarded: LookupFunction = (host, { all }, answer) => {
    const url = new URL(`https://${host}`);
    resolveOutbound(url, policy, { signal, lookup }).then(
      (addresses) => {
        if (all) answer(null, [...addresses]);
        else answer(null, addresses[0].address, addresses[0].family);
      },
      (error: Error) => answer(error, all ? [] : ''),
    );
  };
  return new Agent({
    connect: { lookup: guarded, timeout: connectTimeoutMs, ...(ca !== undefined && { ca }) },
    maxHeaderSize: maximumHeaderBytes,
    pipelining: 1,
  });
}
