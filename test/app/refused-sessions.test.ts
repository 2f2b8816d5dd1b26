import { strict as assert } from 'node:assert';
import mm from 'egg-mock';
import { later } from '../support/app';
import { listenToEvents } from '../support/events';
import { type IndexedSite, forEachIndexedStore, MEMORY, REDIS } from '../support/indexed';
import { MapStore } from '../support/MapStore';
import { start, stop } from '../support/web';

const HOUR = 3600_000;
const OTHER = { 'x-other': '1' };

/** Ways in which a request may come with a session that it may not use. */
const REFUSALS: Record<string, { options: object; refuse(): Record<string, string> }> = {
  'over by the clock of this process': {
    options: { absoluteMaxAge: HOUR },
    refuse() {
      later(2 * HOUR);
      return {};
    },
  },
  'refused by valid': { options: { valid: (ctx: { get(name: string): string }) => !ctx.get('x-other') }, refuse: () => OTHER },
};

for (const [ how, { options, refuse }] of Object.entries(REFUSALS)) {
  forEachIndexedStore(`a session that is ${how}`, (site: IndexedSite) => {
    // MemorySessionStore has the clock of this process, and drops it
    const isGone = site.subject === MEMORY && 'absoluteMaxAge' in options;

    it('is ended by destroy()', async () => {
      const browser = await site.signIn(7);
      const copy = browser.copy();
      const response = await browser.run(session => session.destroy(), refuse());
      mm.restore();
      if (!isGone) assert.match(response.setCookies.join(), /^EGG_SESS=;/);
      assert.equal(await site.user(copy), null);
      assert.deepEqual(await site.registry.list(7), []);
    });

    it('is ended by regenerate(), as at sign-in', async () => {
      const browser = await site.signIn(8);
      const copy = browser.copy();
      await browser.run(async session => {
        session.userId = 8;
        await session.regenerate();
      }, refuse());
      mm.restore();
      assert.equal(await site.user(copy), null);
    });

    it('goes on when the request only reads', async () => {
      const browser = await site.signIn(9);
      const copy = browser.copy();
      await browser.run(session => void session.userId, refuse());
      mm.restore();
      if (!isGone) assert.equal(await site.user(copy), 9);
    });
  }, options, [ MEMORY, REDIS ]);
}

describe('a session that has expired, in a store of three methods', () => {
  afterEach(stop);

  it('is told of once when it is destroyed', async () => {
    const { app, client } = await start({ store: new MapStore() });
    const take = listenToEvents(app);
    await client.run((session: any) => {
      session.n = 1;
    });
    later(24 * HOUR + 5000);
    await client.run((session: any) => session.destroy());
    assert.deepEqual((await take()).map(({ event }) => event), [ 'created', 'expired' ]);
  });
});
