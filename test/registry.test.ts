import { strict as assert } from 'node:assert';
import { later } from './support/app';
import { forEachIndexedStore } from './support/indexed';

let last = 0;
/** A user of the test's own. */
const newUser = () => `user-${++last}`;

forEachIndexedStore('sessionRegistry', site => {
  it('an administrator sees a user sign in twice, revokes one session, then all', async () => {
    const user = newUser();
    const phone = await site.signIn(user, undefined, 'phone');
    const laptop = await site.signIn(user, undefined, 'laptop');
    const stranger = await site.signIn(newUser());
    const sessions = await site.registry.list(user);
    assert.deepEqual(sessions.map(({ userAgent }) => userAgent).sort(), [ 'laptop', 'phone' ]);

    const { id } = sessions.find(({ userAgent }) => userAgent === 'phone')!;
    assert.equal(await site.registry.revoke(user, id), true);
    assert.equal(await site.user(phone), null);
    assert.equal(await site.user(laptop), user);
    assert.equal(await site.registry.revoke(user, id), false);
    assert.equal((await site.registry.list(user)).length, 1);

    assert.equal(await site.registry.revokeAll(user), 1);
    assert.equal(await site.user(laptop), null);
    assert.deepEqual(await site.registry.list(user), []);
    assert.notEqual(await site.user(stranger), null);
  });

  it('list() tells when a session was created and last seen, from where, and which is the current one', async () => {
    const user = newUser();
    const before = Date.now();
    const phone = await site.signIn(user, undefined, 'phone');
    await site.signIn(user, undefined, 'x'.repeat(1000));
    const after = Date.now();
    const listed = (await phone.run(async () => await site.registry.list(user))).json();
    assert.deepEqual(listed.map(({ current, userAgent }: any) => [ current, userAgent.length ]).sort(), [[ false, 256 ], [ true, 5 ]]);
    for (const { createdAt, lastSeenAt, ip } of listed) {
      assert.ok(before <= createdAt && createdAt <= lastSeenAt && lastSeenAt <= after);
      assert.equal(ip, '127.0.0.1');
    }
  });

  it('revokeAll() with exceptCurrent leaves the session that asks', async () => {
    const user = newUser();
    const [ here, there ] = [ await site.signIn(user), await site.signIn(user) ];
    assert.deepEqual((await here.run(async () => ({ count: await site.registry.revokeAll(user, { exceptCurrent: true }) }))).json(), { count: 1 });
    assert.equal(await site.user(there), null);
    assert.equal(await site.user(here), user);
  });

  it('revokeAll() from a session of its own signs that out too, and removes its cookie', async () => {
    const user = newUser();
    const here = await site.signIn(user);
    const response = await here.run(async () => ({ count: await site.registry.revokeAll(user) }));
    assert.deepEqual(response.json(), { count: 1 });
    assert.match(response.setCookies.join(), /^EGG_SESS=;/);
    assert.equal(await site.user(here), null);
  });

  it('clear() ends all sessions, whoever\'s and nobody\'s', async () => {
    const browsers = [ await site.signIn(newUser()), await site.signIn(newUser()) ];
    const anonymous = site.browser();
    await anonymous.run((session: any) => {
      session.cart = [ 'a' ];
    });
    assert.ok(await site.registry.clear() >= 3);
    for (const browser of browsers) assert.equal(await site.user(browser), null);
    assert.equal((await anonymous.run((session: any) => ({ cart: session.cart ?? null }))).json().cart, null);
    assert.equal(await site.registry.clear(), 0);
  });

  it('a session that was seen a minute later says so, without living longer', async () => {
    const user = newUser();
    const browser = await site.signIn(user);
    const [{ lastSeenAt }] = await site.registry.list(user);
    later(59_000);
    await site.user(browser);
    assert.equal((await site.registry.list(user))[0].lastSeenAt, lastSeenAt);
    later(2000);
    await site.user(browser);
    assert.ok((await site.registry.list(user))[0].lastSeenAt >= lastSeenAt + 60_000);
  });
});
