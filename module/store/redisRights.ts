import { coded } from '../record/errors';
import { withDeadline } from './deadline';
import { failureOf, kindOfError } from './failureOf';
import { commandsOf } from './nodeRedis';
import type { RedisClient } from './RedisClient';
import { script, textIn } from './redisLayout';
import { checkPipelines, checkSettings } from './redisSettings';
import { type Check, requireClient, wrongClient } from './requireClient';

const WANTED = {
  field: 'redis',
  methods: [ 'get', 'set', 'del', 'evalsha', 'eval', 'zscan', 'scan' ],
  what: 'a client of ioredis or iovalkey, as egg-redis and @eggjs/redis provide it, or of node-redis 5 or 6; a Cluster and one behind Sentinel are such, too',
};

/** Each command that the store runs, also in its scripts, in a form that changes nothing where there is nothing. */
const HARMLESS: Record<string, string> = {
  get: 'KEYS[1]', set: 'KEYS[1], "", "XX"', del: 'KEYS[1]', pexpire: 'KEYS[1], 1', setrange: 'KEYS[1], 0, ""', getrange: 'KEYS[1], 0, 0', pttl: 'KEYS[1]',
  time: '',
};
/** And those for the sessions of principals. */
const HARMLESS_INDEX: typeof HARMLESS = {
  zadd: 'KEYS[1], "XX", 0, ""', zrem: 'KEYS[1], ""', zremrangebyscore: 'KEYS[1], 0, 0', zscore: 'KEYS[1], ""', zrange: 'KEYS[1], 0, 0',
  zscan: 'KEYS[1], 0', scan: '0, "COUNT", 1',
};

/** What the user of Redis must be allowed to run; docs/stores.md has the same lists. */
export const COMMANDS = [ 'eval', 'evalsha', ...Object.keys(HARMLESS) ];
export const INDEX_COMMANDS = Object.keys(HARMLESS_INDEX);

/** Returns, after `lacks`, the commands that its user may not run. */
const probe = (commands: typeof HARMLESS) => script(`
  local lacks = 'lacks'
  local function try(name, ...)
    local reply = redis.pcall(name, ...)
    local err = type(reply) == 'table' and reply.err
    if err and (string.find(err, 'NOPERM') or string.find(err, 'permission') or string.find(err, "can't run") or string.find(err, 'nknown')) then
      lacks = lacks .. ' ' .. name
    end
  end
  ${Object.entries(commands).map(([ name, args ]) => `try('${name}'${args && `, ${args}`})`).join('\n  ')}
  return lacks
`);

/** What a server says to arguments in another order. */
const MISUNDERSTOOD = /not an integer|wrong number of args|number of keys/i;

/** What node-redis says until it is told to connect. */
const CLOSED = 'The client is closed';

/** What a server says that does not let its user run a command, or that has no such command. */
const REFUSED = /NOPERM|unknown command/i;

/**
 * Tries whether the store can do its work, without a trace in the server. A server that does not answer is not waited for: it need not
 * be there yet.
 *
 * @return why there was no answer
 * @throws TypeError when it is no client that can be used, Error when the server does not let it run what it has to,
 *   or when a setting would let sessions go on that have ended
 */
export async function checkRedis({ name, indexes, ms }: Check, client: () => RedisClient, prefix: string): Promise<string | undefined> {
  const redis = requireClient(name, WANTED, () => commandsOf(client()));
  checkSettings(name, client());
  const { lua, sha } = probe(indexes ? { ...HARMLESS, ...HARMLESS_INDEX } : HARMLESS);
  const lacks = new Set<string>();
  let said = '';
  let silence: string | undefined;
  const run = async (command: 'eval' | 'evalsha', text: string) => {
    const wrong = (how: string) => wrongClient(name, WANTED, `a client whose ${command}() ${how}`);
    const asked = redis[command](text, 1, `${prefix}boot`) as Promise<unknown> | undefined;
    if (typeof asked?.then !== 'function') throw wrong('returns no promise');
    const [ first, ...more ] = await withDeadline(asked, ms, () => new Error(`no answer for ${ms} ms`)).then(reply => String(textIn(reply)).split(' '), err => {
      const message = err?.message ? String(err.message) : kindOfError(err);
      if ((err instanceof TypeError && failureOf(err) === 'call') || MISUNDERSTOOD.test(message)) throw wrong('takes other arguments');
      if (message === CLOSED) throw wrongClient(name, WANTED, 'a client of node-redis that is closed', 'Call its connect() in the store\'s init()');
      if (!REFUSED.test(message)) {
        silence = message;
        return [ 'lacks' ]; // nothing that is known
      }
      said = `. Redis says: ${message}`;
      return [ 'lacks', command ];
    });
    if (first !== 'lacks') throw wrong('takes other arguments');
    for (const each of more) lacks.add(each);
  };
  await run('eval', lua);
  if (silence === undefined) await run('evalsha', sha);
  if (lacks.size === 0) {
    if (silence === undefined) await checkPipelines(name, redis, `${prefix}boot`, ms);
    return silence;
  }
  const rights = [ ...COMMANDS, ...indexes ? INDEX_COMMANDS : [] ].map(command => `+${command}`).join(' ');
  throw coded('ERR_SESSION_SETUP', new Error(`[egg-tegg-session] the user of Redis may not run ${[ ...lacks ].join(', ')}, as the session store ${name} has to: ` +
    `give it ~${redis.options?.keyPrefix ?? ''}${prefix}* ${rights}${said}`));
}
