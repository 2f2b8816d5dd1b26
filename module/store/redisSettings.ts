import { coded } from '../record/errors';
import { withDeadline } from './deadline';
import type { IoredisClient } from './RedisClient';

/** The settings in a client of ioredis or iovalkey, and of node-redis, whose Cluster has them as `_options`. */
interface Settings {
  readonly options?: { readonly scaleReads?: unknown; readonly role?: unknown };
  readonly _options?: { readonly useReplicas?: unknown };
  readonly clientSideCache?: unknown;
}

/** The setting of a client with which a read may miss an earlier write. */
function settingOfStaleReads(client: object): string | undefined {
  const { options, _options, clientSideCache } = client as Settings;
  const { scaleReads = 'master', role = 'master' } = options ?? {};
  if (scaleReads !== 'master') return 'scaleReads';
  if (role !== 'master') return 'role';
  if (_options?.useReplicas) return 'useReplicas';
  return clientSideCache ? 'clientSideCache' : undefined;
}

/** @throws Error when a client has a setting with which sessions that have ended may go on */
export function checkSettings(store: string, client: object): void {
  const setting = settingOfStaleReads(client);
  if (setting === undefined) return;
  throw coded('ERR_SESSION_SETUP', new Error(`[egg-tegg-session] the client of the session store ${store} has the setting ${setting}, and reads from a replica ` +
    'or a cache, which may still have a session that has ended: remove the setting, or give sessions their own client without it'));
}

/** This many keys are never all on one of several nodes. */
const KEYS = 32;

/**
 * Checks whether automatic pipelines keep scripts for different nodes of a Cluster apart: iovalkey 0.4 groups them by their first argument,
 * which is not a key.
 *
 * @throws Error when they don't
 */
export async function checkPipelines(store: string, redis: IoredisClient, key: string, ms: number): Promise<void> {
  if (!redis.nodes || !redis.options?.enableAutoPipelining) return;
  const all = Promise.all(Array.from({ length: KEYS }, (_, i) => redis.eval('return 1', 1, `${key}${i}`)));
  const err = await withDeadline(all, ms, () => new Error('no answer')).then(() => undefined, (err: Error) => err);
  if (!/same slot/.test(err?.message ?? '')) return;
  throw coded('ERR_SESSION_SETUP', new Error(`[egg-tegg-session] the client of the session store ${store} has the setting enableAutoPipelining, and sends scripts for several ` +
    'nodes of the Cluster to one of them: add autoPipeliningIgnoredCommands: [\'eval\', \'evalsha\'] to its options'));
}
