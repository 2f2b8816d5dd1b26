import { strict as assert } from 'node:assert';
import { once } from 'node:events';
import fs from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import type { Context } from 'egg';
import { type Client } from '../support/app';
import { forEachIndexedStore, MEMORY, REDIS } from '../support/indexed';

let last = 0;
/** A user of the test's own. */
const newUser = () => `user-${++last}`;

type Work = (session: any, ctx: Context, user: string) => unknown;

/** The ways in which a request writes a session; after each, it is the user's. */
const WORK: Record<string, Work> = {
  'a sign-in': (session, _, user) => void (session.userId = user),
  'a sign-in with regenerate()': async (session, _, user) => {
    await session.regenerate();
    session.userId = user;
  },
  'a write of another field': (session, _, user) => void Object.assign(session, { userId: user, n: 1 }),
  'save()': (session, _, user) => {
    session.userId = user;
    return session.save();
  },
  'update()': (session, _, user) => session.update((data: any) => void (data.userId = user)),
  'regenerate()': (session, _, user) => {
    session.userId = user;
    return session.regenerate();
  },
  'an assignment to ctx.session': (_, ctx, user) => void (ctx.session = { userId: user }),
};

forEachIndexedStore('a request that does not tell where it comes from', site => {
  /** What is listed for the user, whose only session it is. */
  async function only(user: string) {
    const [ session, ...more ] = await site.registry.list(user);
    assert.deepEqual(more, []);
    return session;
  }

  describe('as the application listens on a unix socket', () => {
    const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'egg-tegg-session-'));
    const socketPath = path.join(dir, 'app.sock');
    let server: http.Server;
    before(async () => {
      server = http.createServer(site.app.callback() as http.RequestListener);
      await once(server.listen(socketPath), 'listening');
    });
    after(async () => {
      server.closeAllConnections();
      await new Promise(resolve => {
        server.close(resolve);
      });
      fs.rmSync(dir, { recursive: true });
    });
    const browserOfSocket = () => Object.assign(site.browser(), { more: { socketPath } });

    for (const [ what, work ] of Object.entries(WORK)) {
      it(`${what} is saved, without an address`, async () => {
        const browser = browserOfSocket();
        for (const user of [ newUser(), newUser() ]) {
          await browser.run((session, ctx) => work(session, ctx, user));
          assert.equal((await only(user)).ip, '');
          assert.equal(await site.user(browser), user);
        }
      });
    }

    it('a read is served that notes when the session was seen', async () => {
      const user = newUser();
      const browser = browserOfSocket();
      await browser.run((session: any) => void (session.userId = user));
      await site.later(61_000);
      assert.equal(await site.user(browser), user);
      assert.equal((await only(user)).lastSeenAt, Date.now());
    });
  });

  describe('as the client has hung up while the handler runs', () => {
    /** A request whose client is gone before its handler does its work. */
    async function hangUp(browser: Client, work: (session: any, ctx: Context) => unknown) {
      const client = browser.copy();
      const controller = new AbortController();
      client.more = { signal: controller.signal };
      await new Promise((resolve, reject) => {
        client.run(async (session, ctx) => {
          session.toJSON();
          const closed = once(ctx.req.socket, 'close');
          controller.abort();
          await closed;
          try {
            await work(session, ctx);
            await ctx.session!.manuallyCommit(); // as the end of the request does
            resolve(undefined);
          } catch (err) {
            reject(err);
          }
        }).catch(() => undefined);
      });
    }

    for (const [ what, work ] of Object.entries(WORK)) {
      it(`${what} is saved`, async () => {
        const user = newUser();
        await hangUp(site.browser(), (session, ctx) => work(session, ctx, user));
        assert.equal((await only(user)).ip, '');
      });

      it(`${what} is saved in a session that there was, with the address from which it was seen before`, async () => {
        const [ user, next ] = [ newUser(), newUser() ];
        const browser = site.browser();
        await browser.run((session: any) => void (session.userId = user));
        await hangUp(browser, (session, ctx) => work(session, ctx, next));
        assert.equal((await only(next)).ip, '127.0.0.1');
        assert.equal(await site.registry.revokeAll(next), 1);
      });
    }

    it('a read is noted, with when the session was seen', async () => {
      const user = newUser();
      const browser = site.browser();
      await browser.run((session: any) => void (session.userId = user));
      await site.later(61_000);
      await hangUp(browser, session => assert.equal(session.userId, user));
      const { lastSeenAt, ip } = await only(user);
      assert.deepEqual([ lastSeenAt, ip ], [ Date.now(), '127.0.0.1' ]);
    });
  });

  it('an address that is none of a text is taken as one', async () => {
    const user = newUser();
    await site.browser().run((session: any, ctx) => {
      ctx.request.ip = 7 as never;
      session.userId = user;
    });
    assert.equal((await only(user)).ip, '7');
  });

  it('no user agent, and none of its words are needed', async () => {
    const user = newUser();
    await site.browser().run((session: any, ctx) => {
      delete ctx.req.headers['user-agent'];
      session.userId = user;
    });
    assert.equal((await only(user)).userAgent, '');
  });
}, {}, [ MEMORY, REDIS ]);
