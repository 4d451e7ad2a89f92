import { CygniError, type ErrorCode, isCygniError } from '@cygni/core';

/** The first word of a server's error. */
const byReply: Readonly<Record<string, readonly [ErrorCode, string]>> = {
  NOAUTH: ['invalid_configuration', 'Redis asks for a password'],
  WRONGPASS: ['invalid_configuration', 'Redis refused the user or the password'],
  NOPERM: ['invalid_configuration', 'the Redis user lacks a permission'],
  OOM: ['unavailable', 'Redis has no memory left'],
  LOADING: ['unavailable', 'Redis is starting'],
  READONLY: ['unavailable', 'this Redis accepts no writes now'],
  MASTERDOWN: ['unavailable', 'Redis has lost its primary'],
  CLUSTERDOWN: ['unavailable', 'the Redis cluster is down'],
  TRYAGAIN: ['unavailable', 'the Redis cluster is moving keys'],
  MOVED: ['invalid_configuration', 'this Redis is a cluster'],
  BUSY: ['unavailable', 'Redis is busy with a script'],
  NOSCRIPT: ['unavailable', 'Redis has lost its scripts'],
  MISCONF: ['unavailable', 'Redis cannot save, and accepts no writes'],
};

const untrusted = /CERT|SIGNATURE|UNABLE_TO_GET_ISSUER/;

/** What ioredis says, without a code, when there is no connection. */
const connectionMessage =
  /^(Connection is closed|Stream isn't writeable|Cluster isn't ready|Reached the max retries|Socket timeout|Failed to refresh slots|None of startup nodes|connect ETIMEDOUT|Socket closed)/;

/** Turns what ioredis and BullMQ throw into the platform's error. Arguments of commands, a password among them, are left out. */
export function mapError(error: unknown): CygniError {
  if (isCygniError(error)) return error;
  if (!(error instanceof Error)) return new CygniError('internal', 'the queue failed');
  // Of a cluster: what its last node had said says more.
  if ('lastNodeError' in error && error.lastNodeError) return mapError(error.lastNodeError);
  const { message } = error;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  const cause = Object.assign(new Error(message), { name: error.name, code });
  const reply = byReply[message.split(' ', 1)[0] ?? ''];
  if (reply) return new CygniError(reply[0], reply[1], { cause });
  if (code !== undefined && untrusted.test(code)) {
    return new CygniError('invalid_configuration', 'the certificate of Redis is not trusted', {
      cause,
    });
  }
  if (code !== undefined || connectionMessage.test(message)) {
    return new CygniError('unavailable', 'Redis is out of reach', { cause });
  }
  return new CygniError('internal', 'the queue failed', { cause });
}
