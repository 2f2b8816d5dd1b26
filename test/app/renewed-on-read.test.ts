import { strict as assert } from 'node:assert';
import mm from 'egg-mock';
import { type Client, later } from '../support/app';
import { IndexedSite, MEMORY, REDIS } from '../support/indexed';
import { NAME } from '../support/web';

const MINUTE = 60_000;

type Request = (client: Client, headers: { cookie: string }) => Promise<{ setCookies: string[] }>;

const REQUESTS: Record<string, Request> = {
  'a page that is not there': (client, headers) => client.request('/nowhere', { headers }),
  'a page that fails': (client, headers) => client.tryRun(() => {
    throw new Error('the page fails');
  }, headers),
};

for (const subject of [ MEMORY, REDIS ]) {
  describe(`a session that lives on as it is read, though no request uses it, with ${subject.name}`, () => {
    const site = new IndexedSite(subject, { rolling: true, maxAge: 20 * MINUTE });
    before(() => site.boot());
    after(() => site.close());
    afterEach(() => mm.restore());

    /** Requests that do not use the session, with a cookie that a program keeps, as browsers would not. */
    async function poll(client: Client, request: Request) {
      const headers = { cookie: `${NAME}=${client.cookies.get(NAME)}` };
      for (let i = 0; i < 6; i++) {
        await site.later(10 * MINUTE);
        assert.deepEqual((await request(client.another(), headers)).setCookies, []);
      }
      return headers;
    }

    for (const [ title, request ] of Object.entries(REQUESTS)) {
      it(`is listed and revoked all the same, after requests of ${title}`, async () => {
        const [ thief, victim ] = [ site.browser(), site.browser() ];
        for (const browser of [ thief, victim ]) await browser.run(session => void (session.userId = 7));
        const headers = await poll(thief, request);
        await victim.another().run(session => void (session.userId = 7));
        assert.equal((await site.registry.list(7)).length, 2);
        assert.equal(await site.registry.revokeAll(7), 2);
        assert.deepEqual((await thief.another().run(session => ({ user: session.userId ?? null }), headers)).json(), { user: null });
      });
    }

    it('ends with the browser, when another request has just chosen that', async () => {
      const browser = site.browser();
      await browser.run(session => void (session.n = 1));
      const response = await browser.run(async session => {
        assert.equal(session.n, 1);
        await browser.copy().run(other => void (other.maxAge = 'session'));
      });
      assert.equal(response.setCookies.length, 1);
      assert.doesNotMatch(response.setCookies[0], /max-age/i);
    });

    it('is asked for once more before its cookie is sent, also when its lifetime was chosen before, or in this request', async () => {
      const browser = site.browser();
      await browser.run(session => void (session.n = 1));
      await browser.run(session => void (session.maxAge = MINUTE));
      const calls: string[] = [];
      const names = [ 'get', 'getAndTouch', 'touch', 'merge' ] as const;
      for (const name of names) {
        const method = site.store[name] as (...args: unknown[]) => Promise<never>;
        mm(site.store, name, (...args: unknown[]) => {
          calls.push(name);
          return method.apply(site.store, args);
        });
      }
      await browser.run(session => ({ n: session.n }));
      assert.deepEqual(calls.splice(0), [ 'getAndTouch', 'touch' ]);
      await browser.run(async session => {
        session.maxAge = 2 * MINUTE;
        await session.save();
      });
      assert.deepEqual(calls, [ 'getAndTouch', 'merge', 'get' ]);
    });

    it('is noted once a minute at most, and a failure of that is no failure of the request', async () => {
      const browser = site.browser();
      await browser.run(session => void (session.userId = 8));
      const { store } = site;
      const { merge } = store;
      let merged = 0;
      store.merge = async (...args) => {
        if (++merged === 2) throw new Error('the store fails');
        return await merge!.apply(store, args);
      };
      const counts: number[] = [];
      for (const ms of [ 0, MINUTE, 1000, MINUTE ]) {
        later(ms);
        assert.equal((await browser.request('/nowhere')).status, 404);
        counts.push(merged);
      }
      store.merge = merge;
      assert.deepEqual(counts, [ 0, 1, 1, 2 ]);
    });
  });
}
