import { strict as assert } from 'node:assert';
import { gate } from '../support/concurrent';
import { IndexedSite, MEMORY, REDIS } from '../support/indexed';
import { MapStore } from '../support/MapStore';
import { start, stop } from '../support/web';

for (const subject of [ MEMORY, REDIS ]) {
  describe(`a request whose session moves while it notes whose that is, with ${subject.name}`, () => {
    const site = new IndexedSite(subject, { maxSessions: 5 });
    before(() => site.boot());
    after(() => site.close());

    /** Runs `handle`, which waits in a call of the store as another request moves the session. */
    async function overtake(handle: (session: any) => unknown, hold: (wait: () => Promise<void>) => void) {
      const browser = site.browser();
      await browser.run(session => void (session.cart = [ 'a' ]));
      const slow = await site.slow(browser, handle);
      const [ reached, go ] = [ gate(), gate() ];
      hold(async () => {
        reached.open();
        await go.opened;
      });
      const done = slow.finish();
      await reached.opened;
      await browser.run(session => session.regenerate());
      go.open();
      return await done;
    }

    it('sets no cookie when it signs in', async () => {
      const response = await overtake(session => void (session.userId = 7), wait => {
        const { store } = site;
        const { list } = store;
        store.list = async function* (...args) {
          store.list = list;
          await wait();
          yield* list!.apply(store, args);
        };
      });
      assert.deepEqual(response.setCookies, []);
    });

    it('sets no cookie after an update()', async () => {
      const response = await overtake(session => session.update((data: any) => {
        data.userId = 7;
      }), wait => {
        const { store } = site;
        const { index } = store;
        let calls = 0;
        store.index = async (...args) => {
          if (++calls === 2) {
            store.index = index;
            await wait();
          }
          await index!.apply(store, args);
        };
      });
      assert.deepEqual(response.setCookies, []);
    });
  });
}

describe('a request whose session moves after it was saved', () => {
  afterEach(stop);

  const shared = new MapStore();
  class ContextStore extends MapStore {
    override readonly entries = shared.entries;
  }
  for (const [ title, options ] of Object.entries({ 'a store': { store: new MapStore() }, 'a ContextStore': { ContextStore } })) {
    it(`sets no cookie, with ${title}`, async () => {
      const { client, run } = await start(options);
      await run(session => void (session.n = 1));
      const [ saved, go ] = [ gate(), gate() ];
      const slow = client.copy().run(async session => {
        session.n = 2;
        await session.save();
        saved.open();
        await go.opened;
      });
      await saved.opened;
      await run(session => session.regenerate());
      go.open();
      assert.deepEqual((await slow).setCookies, []);
    });
  }
});
