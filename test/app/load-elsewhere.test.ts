import { strict as assert } from 'node:assert';
import type { Application, Context } from 'egg';
import type { MockApplication } from 'egg-mock';
import mm from 'egg-mock';
import { type SessionOptions, SessionRegistry, type SessionStoreLike } from '../..';
import { Client, createApp } from '../support/app';
import { loadingSite, MEMORY, NOT_LOADED } from '../support/load';
import { MapStore } from '../support/MapStore';

const EGG = '/egg/run';
const CONTROLLER = '/without/run';

for (const onStoreError of [ 'fail', 'anonymous' ] as const) {
  describe(`load: 'injected', when the store fails, with onStoreError: '${onStoreError}'`, () => {
    const site = loadingSite(MEMORY, { onStoreError });
    let client: Client;
    beforeEach(async () => {
      client = await site.signIn();
      mm((site.app as unknown as Application).sessionStore as SessionStoreLike, 'get', () => Promise.reject(new Error('it is down')));
    });
    afterEach(() => mm.restore());

    it('a route without the session goes on', async () => {
      assert.equal((await client.request('/without/answer')).status, 200);
    });

    it(`ctx.loadSession() is ${onStoreError === 'fail' ? 'answered with 503' : 'an empty session that is not saved'}`, async () => {
      for (const path of [ EGG, CONTROLLER ]) {
        const response = await client.tryRun(async (_, ctx) => {
          const session = await ctx.loadSession();
          session.n = 5;
          return { n: session.n };
        }, {}, path);
        assert.deepEqual(response.setCookies, []);
        if (onStoreError === 'fail') assert.deepEqual([ response.status, Boolean(response.headers['retry-after']) ], [ 503, true ]);
        else assert.deepEqual(response.json(), { n: 5 });
      }
      mm.restore();
      assert.equal((await client.run(session => ({ n: session.n }))).json().n, 1);
    });

    it('each call of ctx.loadSession() fails, or none, and nothing of the request is saved', async () => {
      const response = await client.tryRun(async (_, ctx) => {
        const isLoaded = () => ctx.loadSession().then(() => true, () => false);
        const outcomes = [ await isLoaded(), await isLoaded() ];
        if (onStoreError === 'fail') assert.throws(() => ctx.session, NOT_LOADED);
        else ctx.session.n = 5;
        return { outcomes };
      }, {}, EGG);
      assert.deepEqual(response.json(), { outcomes: Array(2).fill(onStoreError === 'anonymous') });
      assert.deepEqual(response.setCookies, []);
      mm.restore();
      assert.equal((await client.run(session => ({ n: session.n }))).json().n, 1);
    });
  });
}

describe('load: \'injected\', when `valid` throws', () => {
  let broken = false;
  const site = loadingSite(MEMORY, {
    valid() {
      if (broken) throw new Error('it is broken');
      return true;
    },
  });

  it('whoever goes on all the same has no session, and begins none', async () => {
    const client = await site.signIn();
    broken = true;
    const response = await client.run(async (_, ctx) => {
      await assert.rejects(ctx.loadSession(), /it is broken/);
      await assert.rejects(ctx.loadSession(), /it is broken/);
      assert.throws(() => ctx.session, NOT_LOADED);
    }, {}, EGG);
    broken = false;
    assert.deepEqual(response.setCookies, []);
    assert.equal((await client.run(session => ({ n: session.n }))).json().n, 1);
  });
});

describe('load: \'injected\', sessionRegistry in a controller without the session', () => {
  const site = loadingSite(MEMORY, { principal: 'userId' });
  beforeEach(async () => {
    await (await site.app.getEggObject(SessionRegistry)).clear();
  });

  it('knows which session is the request\'s', async () => {
    const [ client, other ] = [ await site.signIn(), await site.signIn() ];
    const listed = await client.run(({ sessionRegistry }) => sessionRegistry.list(7), {}, CONTROLLER);
    assert.deepEqual(listed.json().map(({ current }: { current: boolean }) => current).sort(), [ false, true ]);
    const ended = await client.run(async ({ sessionRegistry }) =>
      ({ ended: await sessionRegistry.revokeAll(7, { exceptCurrent: true }) }), {}, CONTROLLER);
    assert.deepEqual(ended.json(), { ended: 1 });
    assert.deepEqual(ended.setCookies, []);
    const user = async (browser: Client) => (await browser.run(session => ({ userId: session.userId ?? null }))).json().userId;
    assert.deepEqual([ await user(client), await user(other) ], [ 7, null ]);
  });

  it('revokes the request\'s own, and the response removes its cookie', async () => {
    const client = await site.signIn();
    const response = await client.run(async ({ sessionRegistry }) => ({ ended: await sessionRegistry.revokeAll(7) }), {}, CONTROLLER);
    assert.deepEqual(response.json(), { ended: 1 });
    assert.match(response.setCookies.join(), /^EGG_SESS=;/);
  });
});

async function countLoaded(_: unknown, ctx: Context) {
  const session = await ctx.loadSession();
  session.n = (session.n ?? 0) + 1;
  return { n: session.n };
}

describe('load: \'injected\', beside others', () => {
  const open: Array<{ close(): Promise<unknown> }> = [];
  afterEach(async () => {
    for (const each of open.splice(0).reverse()) await each.close();
  });

  async function start(name: string, session: SessionOptions, config = {}, boot?: (app: Application) => void) {
    const app: MockApplication = await createApp(name, { session, config, boot });
    open.push(app);
    const client = await Client.of(app);
    open.push(client);
    return { app, client };
  }

  it('an application without tegg controllers loads by ctx.loadSession() only', async () => {
    const { client } = await start('load-plain', { load: 'injected' });
    await client.run((_, ctx) => assert.throws(() => ctx.session, NOT_LOADED), {}, EGG);
    for (const n of [ 1, 2 ]) assert.deepEqual((await client.run(countLoaded, {}, EGG)).json(), { n });
  });

  it('another application of its process loads as ever', async () => {
    const stores = [ new MapStore(), new MapStore() ];
    const injected = await start('load-plain', { key: 'A', load: 'injected', store: stores[0] });
    const always = await start('load-plain', { key: 'B', store: stores[1] });
    for (const n of [ 1, 2 ]) {
      await injected.client.run((_, ctx) => assert.throws(() => ctx.session, NOT_LOADED), {}, EGG);
      assert.deepEqual((await injected.client.run(countLoaded, {}, EGG)).json(), { n });
      assert.deepEqual((await always.client.run(async (_, ctx) => {
        ctx.session.n = (ctx.session.n ?? 0) + 1;
        assert.equal(await ctx.loadSession(), ctx.session);
        return { n: ctx.session.n };
      }, {}, EGG)).json(), { n });
    }
    assert.deepEqual(stores.map(store => store.entries.size), [ 1, 1 ]);
  });

  describe('csrf.useSession', () => {
    const config = { security: { csrf: { enable: true, useSession: true } } };

    it('works on routes that have the session injected, and elsewhere the error names the way out', async () => {
      const { client } = await start('load', { load: 'injected' }, config);
      const { token } = (await client.run((_, ctx) => ({ token: ctx.csrf }))).json();
      const form = (given: string) => client.request('/with/put', {
        method: 'POST', body: new URLSearchParams({ _method: 'PUT', _csrf: given }),
      });
      assert.equal((await form(token)).text, '{"n":1}');
      assert.equal((await form('forged')).status, 403);
      const body = new URLSearchParams({ _csrf: token });
      for (const refused of [ await client.request('/without/answer'), await client.request('/without/form', { method: 'POST', body }) ]) {
        assert.equal(refused.status, 500);
        assert.match(refused.text, NOT_LOADED);
      }
    });

    it('in the cookie, Egg\'s default, it works everywhere', async () => {
      const { client } = await start('load', { load: 'injected' }, { security: { csrf: { enable: true } } });
      const { token } = (await client.run((_, ctx) => ({ token: ctx.csrf }), {}, EGG)).json();
      const response = await client.request('/without/form', { method: 'POST', body: new URLSearchParams({ _csrf: token }) });
      assert.equal(response.status, 200);
    });
  });

  it('egg-passport works on routes that have the session injected, and elsewhere the error names the way out', async () => {
    const { client } = await start('passport', { load: 'injected', store: new MapStore() });
    assert.deepEqual((await client.request('/who')).json(), { user: null, isAuthenticated: false, session: [ null, null ] });
    const refused = await client.request('/sign-in', {
      method: 'POST', body: new URLSearchParams({ username: 'alice', password: 'wonderland' }),
    });
    assert.equal(refused.status, 500);
    assert.match(refused.text, NOT_LOADED);
  });
});

