import { strict as assert } from 'node:assert';
import type { SessionOptions } from '../..';
import type { Client } from '../support/app';
import { Monitor } from '../support/Monitor';
import { redisOfSuite, TestRedisStore } from '../support/redis';
import { type Handle, start, stop } from '../support/web';

const GET = 'get';
const SET = 'set';
const SCRIPT = 'evalsha';

const write: Handle = session => {
  session.userId = 1;
};
const change: Handle = session => {
  session.n = (session.n ?? 0) + 1;
};
const increment: Handle = session => session.update((data: any) => {
  data.n = (data.n ?? 0) + 1;
});
const signIn: Handle = async session => {
  session.userId = 2;
  await session.regenerate();
};
const signInAfter: Handle = async session => {
  await session.regenerate();
  session.userId = 2;
};
const read: Handle = session => ({ userId: session.userId });
const unused: Handle = () => ({ unused: true });

describe('the commands that Redis is sent', () => {
  const redis = redisOfSuite();
  let monitor: Monitor;
  let client: Client;
  before(async () => {
    monitor = await Monitor.of(redis.client);
  });
  after(() => monitor.stop());
  afterEach(stop);

  const begin = async (options: SessionOptions) => {
    ({ client } = await start({ store: new TestRedisStore(redis.client), ...options }));
    const other = client.another();
    const handles: Handle[] = [ write, change, session => session.save(), increment, session => session.regenerate() ];
    for (const handle of handles) await other.run(handle); // the server knows the scripts from now on
    await monitor.take();
  };

  const CASES: Array<[ what: string, expected: string[], handle: Handle, options?: SessionOptions ]> = [
    [ 'a route that does not use the session', [ GET ], unused ],
    [ 'a read', [ GET ], read ],
    [ 'a session that is assigned what it has', [ GET ], write ],
    [ 'a change', [ GET, SCRIPT ], change ],
    [ 'two changes and save()', [ GET, SCRIPT, SCRIPT ], async session => {
      session.n = 1;
      await session.save();
      session.n = 2;
    } ],
    [ 'update()', [ GET, GET, SCRIPT, GET ], increment ],
    [ 'a sign-in, and regenerate() after it', [ GET, SET, SCRIPT ], signIn ],
    [ 'regenerate(), and a sign-in after it', [ GET, SET, SCRIPT, SCRIPT ], signInAfter ],
    [ 'a sign-out', [ GET, SCRIPT ], session => session.destroy() ],
    [ 'a session of which there is enough left, under renew', [ GET ], read, { renew: true }],
    [ 'a read that renews, under rolling', [ SCRIPT, SCRIPT ], read, { rolling: true }],
    [ 'a change, under rolling', [ SCRIPT, SCRIPT ], change, { rolling: true }],
  ];
  for (const [ what, expected, handle, options = {} ] of CASES) {
    it(`are ${expected.join(', ')} for ${what}`, async () => {
      await begin(options);
      await client.run(write);
      assert.deepEqual(await monitor.take(), [ SET ], 'a first write');
      await client.run(handle);
      assert.deepEqual(await monitor.take(), expected);
    });
  }

  const FRESH: Array<[ what: string, expected: string[], handle: Handle ]> = [
    [ 'a read', [], read ],
    [ 'a first write', [ SET ], write ],
    [ 'a sign-in, and regenerate() after it', [ SET ], signIn ],
    [ 'regenerate(), and a sign-in after it', [ SET, SCRIPT ], signInAfter ],
  ];
  for (const [ what, expected, handle ] of FRESH) {
    it(`are ${expected.join(', ') || 'none'} for ${what}, in a browser without a cookie`, async () => {
      await begin({});
      await client.run(handle);
      assert.deepEqual(await monitor.take(), expected);
    });
  }
});
