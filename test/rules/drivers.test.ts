import { strict as assert } from 'node:assert';
import { KeyvSessionStore, RedisSessionStore, type SessionStoreOptions } from '../..';

const OPTIONS = { ctx: { coreLogger: { error() { /* not looked at */ } } } } as unknown as SessionStoreOptions;
const THIRTY_DAYS = 30 * 24 * 3600_000;
const reply = (message: string) => Object.assign(new Error(message), { name: 'ReplyError' });

class RedisStore extends RedisSessionStore {
  constructor(protected override readonly redis: never, protected override readonly prefix = 'session:') {
    super();
  }
}

describe('a client of Redis', () => {
  for (const [ message, evals ] of [[ 'NOSCRIPT No matching script. Please use EVAL.', 1 ], [ 'READONLY You can\'t write against a read only replica.', 0 ], [ 'OOM', 0 ]] as const) {
    it(`is given a script ${evals ? 'that the server has not seen' : 'once only, when a write has failed'}: ${message}`, async () => {
      let count = 0;
      const store = new RedisStore({
        evalsha: () => Promise.reject(reply(message)),
        eval: async () => {
          count++;
          return '1000';
        },
      } as never);
      if (evals) assert.equal(await store.touch('key'), 1000);
      else await assert.rejects(store.touch('key'), { message });
      assert.equal(count, evals);
    });
  }

  /** What SCAN is asked for, and what it finds, of servers that have these keys each. */
  async function scan(servers: string[][], { keyPrefix, prefix }: { keyPrefix?: string; prefix?: string } = {}) {
    const patterns = new Set<string>();
    const nodes = servers.map(keys => ({
      async scan(_cursor: string, _match: string, pattern: string) {
        patterns.add(pattern);
        return [ '0', keys ];
      },
    }));
    const client = { options: { keyPrefix }, ...servers.length > 1 ? { nodes: () => nodes } : nodes[0] };
    const found: string[] = [];
    for await (const keys of new RedisStore(client as never, prefix).list()) found.push(...keys);
    return { found, patterns: [ ...patterns ] };
  }

  it('is asked for the keys under the prefix of the store', async () => {
    assert.deepEqual(await scan([[ 'session:a', 'session:principal:7' ]]), { found: [ 'a' ], patterns: [ 'session:*' ] });
  });

  it('is asked for them behind its own prefix, which SCAN does not know', async () => {
    assert.deepEqual(await scan([[ 'app:session:a' ]], { keyPrefix: 'app:' }), { found: [ 'a' ], patterns: [ 'app:session:*' ] });
  });

  it('is asked for no more where a prefix has what stands for other letters', async () => {
    assert.deepEqual((await scan([[]], { prefix: 'a*b?c[d]e\\f:' })).patterns, [ 'a\\*b\\?c\\[d\\]e\\\\f:*' ]);
  });

  it('is asked at each master of a Cluster', async () => {
    assert.deepEqual((await scan([[ 'session:a' ], [ 'session:b' ], [ 'session:c' ]])).found, [ 'a', 'b', 'c' ]);
  });
});

describe('a Keyv', () => {
  /** A Keyv that says yes to everything, and keeps what `keeps` says. */
  const storeOf = (keeps: (ttl: number) => boolean) => {
    let kept: string | undefined;
    const keyv = {
      throwOnErrors: false,
      emit: () => true,
      get: async () => kept,
      set: async (_key: string, value: string, ttl: number) => {
        kept = keeps(ttl) ? value : undefined;
        return true;
      },
      delete: async () => true,
      disconnect: async () => undefined,
    };
    return { keyv, store: new class extends KeyvSessionStore {
      protected readonly keyv = keyv;
    }() };
  };

  it('is told to throw errors, which must not pass for sessions that are not there', async () => {
    const { keyv, store } = storeOf(() => true);
    await store.get('key', undefined, OPTIONS);
    assert.equal(keyv.throwOnErrors, true);
  });

  it('has its adapter told so, and the one in that: @keyv/redis says that a write is done which has failed', async () => {
    const { keyv, store } = storeOf(() => true);
    const adapter = { throwOnErrors: false, store: { throwOnErrors: false } };
    await Object.assign(store, { keyv: Object.assign(keyv, { store: adapter }) }).destroy('key');
    assert.deepEqual(adapter, { throwOnErrors: true, store: { throwOnErrors: true } });
  });

  it('is asked whether it keeps what is to live for 30 days: memcached says yes, and does not', async () => {
    const { store } = storeOf(ttl => ttl < THIRTY_DAYS);
    await store.set('key', { n: 1 }, THIRTY_DAYS - 1);
    await assert.rejects(store.set('key', { n: 1 }, THIRTY_DAYS), /this store takes less than 30 days/);
  });

  it('is not asked again when it does', async () => {
    const { keyv, store } = storeOf(() => true);
    await store.set('key', { n: 1 }, THIRTY_DAYS);
    keyv.get = () => assert.fail('once is enough');
    await store.set('key', { n: 1 }, THIRTY_DAYS);
  });
});
