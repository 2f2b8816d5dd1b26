import type { Application } from 'egg';

/** What a check at boot uses of a client. */
interface AskedRedis {
  info?(section: 'memory'): Promise<unknown>;
}

/**
 * Warns of a server that makes room by dropping what is in it: it drops the lists of whose sessions there are before the sessions
 * themselves, as each request uses these. A server that may not be asked, or is not there yet, is no reason to stop.
 */
export async function warnOfEviction(servers: AskedRedis[], logger: Application['coreLogger']): Promise<void> {
  const policies = await Promise.all(servers.map(async server => {
    const info = await server.info?.('memory').catch(() => undefined);
    return /^maxmemory_policy:(\S+)/m.exec(String(info))?.[1];
  }));
  const policy = policies.find(each => each !== undefined && each !== 'noeviction');
  if (policy === undefined) return;
  logger.warn('[egg-tegg-session] the Redis of the sessions has the maxmemory-policy %s: when its memory is full, it evicts sessions, ' +
    'which signs users out, and the index, so that revokeAll(), list() and maxSessions miss idle sessions. Set maxmemory-policy ' +
    'to noeviction, and use another Redis for caches', policy);
}
