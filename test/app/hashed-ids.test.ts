import { strict as assert } from 'node:assert';
import type { Application, Context } from 'egg';
import type { SessionEvent, SessionOptions } from '../..';
import { environmentOf } from '../../module/request/environment';
import { shortHash } from '../../module/record/shortHash';
import { createApp, Client } from '../support/app';
import { forEachIndexedStore } from '../support/indexed';
import { keyOf } from '../support/keyOf';
import { MapStore } from '../support/MapStore';

const HEADER = 'x-session';
const externalKey: SessionOptions['externalKey'] = {
  get: (ctx: Context) => ctx.get(HEADER),
  set: (ctx: Context, id: string) => ctx.set(HEADER, id),
};

let last = 0;
/** A user of the test's own. */
const newUser = () => `user-${++last}`;

forEachIndexedStore('ids that are hashed', site => {
  /** Signs in; resolves to the id that the client gets. */
  async function signIn(user: string): Promise<string> {
    const { headers } = await site.browser().run((session: any) => {
      session.userId = user;
    });
    return headers[HEADER] as string;
  }
  const userOf = async (id: string) =>
    (await site.browser().run((session: any) => ({ userId: session.userId ?? null }), { [HEADER]: id })).json().userId;

  it('are remembered with their hash, but not those that are longer than ids are: a client makes up as many as it likes', async () => {
    const ctx = (site.app as unknown as Application).createAnonymousContext();
    const { keys } = environmentOf(ctx.app).storeFor(ctx) as unknown as { keys: Map<string, string> };
    const before = keys.size;
    for (const id of [ 'x'.repeat(256), 'y'.repeat(257), 'z'.repeat(5000) ]) assert.equal(await userOf(id), null);
    assert.equal(keys.size, before + 1);
  });

  it('nobody signs in with a handle of the registry, or with what the store has for a key', async () => {
    const user = newUser();
    const id = await signIn(user);
    assert.equal(await userOf(id), user);
    const [ session ] = await site.registry.list(user);
    assert.equal(session.id, keyOf(id));
    assert.ok(!JSON.stringify(session).includes(id));
    assert.deepEqual(await site.noted(user), [ session.id ]);
    for (const stolen of [ session.id, `session:${session.id}`, `principal:${user}`, keyOf(session.id) ]) {
      assert.equal(await userOf(stolen), null);
    }
    assert.equal(await userOf(id), user);
    assert.equal(await site.registry.revoke(user, id), false); // nor is the id a handle
  });

  it('no id is in what is stored, also after regenerate(), sign-out and a revocation', async () => {
    const user = newUser();
    const ids = [ await signIn(user), await signIn(user), await signIn(user) ];
    const { headers } = await site.browser().run(session => session.regenerate(), { [HEADER]: ids[0] });
    ids.push(headers[HEADER] as string);
    assert.notEqual(ids[3], ids[0]);
    await site.browser().run(session => session.destroy(), { [HEADER]: ids[1] });
    await site.registry.revoke(user, keyOf(ids[2]));
    const { ctx } = { ctx: site.app.createAnonymousContext() as unknown as Context };
    const stored = [ ...await site.noted(user) ];
    for await (const keys of site.store.list!(undefined, { ctx })) {
      for (const key of keys) stored.push(key, JSON.stringify(await site.store.get(key, undefined, { ctx })));
    }
    assert.ok(stored.some(text => text.includes(keyOf(ids[3]))));
    for (const id of ids) assert.ok(!stored.some(text => text.includes(id)));
  });

  it('an event names a session as shortHash() of its id does, whoever ends it', async () => {
    const user = newUser();
    const ids = [ await signIn(user), await signIn(user) ];
    const events: SessionEvent[] = [];
    const listener = (event: SessionEvent) => events.push(event);
    site.app.on('session:destroyed', listener);
    await site.browser().run(session => session.destroy(), { [HEADER]: ids[0] });
    await site.registry.revokeAll(user);
    await new Promise(resolve => setImmediate(resolve));
    site.app.off('session:destroyed', listener);
    assert.deepEqual(events.map(({ key }) => key), ids.map(shortHash));
  });
}, { externalKey });

forEachIndexedStore('ids that are hashed, in a cookie', site => {
  it('a handle in place of the cookie signs nobody in', async () => {
    const user = newUser();
    const browser = await site.signIn(user);
    const [{ id }] = await site.registry.list(user);
    for (const value of [ id, `session:${id}`, Buffer.from(id).toString('base64url') ]) {
      const thief = browser.copy();
      for (const [ name ] of browser.cookies) thief.cookies.set(name, value);
      assert.equal(await site.user(thief), null);
    }
    assert.equal(await site.user(browser), user);
  });
});

describe('ids in a store that tegg has not found', () => {
  it('are the keys, as applications rely on it', async () => {
    const store = new MapStore();
    const app = await createApp('web', { session: { store, externalKey } });
    const client = await Client.of(app);
    try {
      const { headers } = await client.run((session: any) => {
        session.n = 1;
      });
      assert.deepEqual([ ...store.entries.keys() ], [ headers[HEADER] ]);
    } finally {
      await client.close();
      await app.close();
    }
  });
});
