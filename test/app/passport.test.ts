import { strict as assert } from 'node:assert';
import type { Application } from 'egg';
import type { MockApplication } from 'egg-mock';
import { Client, createApp } from '../support/app';
import { MapStore } from '../support/MapStore';

const inStore = (app: Application) => {
  app.sessionStore = new MapStore();
};
const ALICE = { username: 'alice', password: 'wonderland' };
const BOB = { username: 'bob', password: 'builder' };
const NOBODY = { user: null, isAuthenticated: false, session: [ null, null ] };
const somebody = (user: string) => ({ user, isAuthenticated: true, session: [ user, user ] });

function describePassport(mode: string, boot?: (app: Application) => void) {
  describe(`egg-passport, the session ${mode}`, () => {
    let app: MockApplication;
    let server: Client;
    let client: Client;
    before(async () => {
      app = await createApp('passport', { boot });
      server = await Client.of(app);
    });
    beforeEach(() => {
      client = server.another();
    });
    after(async () => {
      await server.close();
      await app.close();
    });

    const post = (path: string, fields: Record<string, string> = {}, by = client) => by.request(path, {
      method: 'POST',
      body: new URLSearchParams(fields),
    });
    const who = async (by = client) => (await by.request('/who')).json();
    const thief = () => client.copy();

    it('nobody is signed in at first', async () => {
      assert.deepEqual(await who(), NOBODY);
    });

    it('a user signs in, and the injected session sees it', async () => {
      const response = await post('/sign-in', ALICE);
      assert.deepEqual([ response.status, response.headers.location ], [ 302, '/' ]);
      assert.deepEqual(await who(), somebody('alice'));
    });

    it('the user stays signed in over requests, beside what else the session holds', async () => {
      await client.request('/visit');
      await post('/sign-in', ALICE);
      for (const visits of [ 2, 3, 4 ]) {
        assert.deepEqual((await client.request('/visit')).json(), { visits });
        assert.deepEqual(await who(), somebody('alice'));
      }
    });

    const refused: Array<[ string, Record<string, string>, number ]> = [
      [ 'a wrong password', { ...ALICE, password: 'builder' }, 401 ],
      [ 'an unknown user', { username: 'mallory', password: 'wonderland' }, 401 ],
      [ 'a form without a password', { username: 'alice' }, 400 ],
    ];
    for (const [ what, fields, status ] of refused) {
      it(`${what} is refused`, async () => {
        for (const path of [ '/sign-in', '/0.6/sign-in' ]) {
          const response = await post(path, fields);
          assert.equal(response.status, status);
          assert.deepEqual(response.setCookies, []);
          assert.deepEqual(await who(), NOBODY);
        }
      });
    }

    it('a wrong password leaves whoever is signed in signed in', async () => {
      await post('/sign-in', BOB);
      await post('/sign-in', { ...ALICE, password: 'wrong' });
      assert.deepEqual(await who(), somebody('bob'));
    });

    it('passport finds what the injected session wrote: the page to return to', async () => {
      assert.equal((await client.request('/members')).status, 401);
      const response = await post('/sign-in', ALICE);
      assert.deepEqual([ response.status, response.headers.location ], [ 302, '/members' ]);
      assert.deepEqual((await client.request('/members')).json(), { members: [ 'alice', 'bob' ] });
      assert.equal((await post('/sign-in', ALICE)).headers.location, '/');
    });

    it('the user signs out', async () => {
      await client.request('/visit');
      await post('/sign-in', ALICE);
      await post('/sign-out');
      assert.deepEqual(await who(), NOBODY);
      assert.deepEqual((await client.request('/visit')).json(), { visits: 2 });
      await post('/sign-in', BOB);
      assert.deepEqual(await who(), somebody('bob'));
    });

    it('two users do not mix, even at the same time', async () => {
      const bob = server.another();
      const guest = server.another();
      await Promise.all([ post('/sign-in', ALICE), post('/sign-in', BOB, bob) ]);
      const turns = Array.from({ length: 10 });
      const seen = await Promise.all(turns.flatMap(() => [ who(), who(bob), who(guest) ]));
      assert.deepEqual(seen, turns.flatMap(() => [ somebody('alice'), somebody('bob'), NOBODY ]));
      await post('/sign-out');
      assert.deepEqual([ await who(), await who(bob) ], [ NOBODY, somebody('bob') ]);
    });

    describe('as passport does since 0.6, with callbacks', () => {
      it('signing in regenerates the session, which keeps its data', async () => {
        await client.request('/visit');
        const before = client.cookies.get('EGG_SESS');
        const response = await post('/0.6/sign-in', ALICE);
        assert.deepEqual([ response.status, response.text ], [ 200, 'welcome' ]);
        assert.equal(response.setCookies.length, 1);
        assert.notEqual(client.cookies.get('EGG_SESS'), before);
        assert.deepEqual(await who(), somebody('alice'));
        assert.deepEqual((await client.request('/visit')).json(), { visits: 2 });
      });

      it('a cookie from before the sign-in is not signed in', async () => {
        await client.request('/visit');
        const before = thief();
        await post('/0.6/sign-in', ALICE);
        assert.deepEqual(await who(before), NOBODY);
      });

      it('signing out regenerates the session as well', async () => {
        await post('/0.6/sign-in', ALICE);
        await post('/0.6/sign-out');
        assert.deepEqual(await who(), NOBODY);
        await post('/0.6/sign-in', BOB);
        assert.deepEqual(await who(), somebody('bob'));
      });
    });

    if (!boot) return;

    for (const path of [ '/sign-out', '/0.6/sign-out' ]) {
      it(`a cookie from before POST ${path} is signed out too`, async () => {
        await post('/sign-in', ALICE);
        const before = thief();
        assert.deepEqual(await who(before), somebody('alice'));
        await post(path);
        assert.deepEqual(await who(before), NOBODY);
      });
    }

    it('a sign-in that the store does not save fails', async () => {
      const { set } = app.sessionStore!;
      for (const path of [ '/sign-in', '/0.6/sign-in' ]) {
        app.sessionStore!.set = async () => {
          throw new Error('no set today');
        };
        const response = await post(path, ALICE);
        app.sessionStore!.set = set;
        assert.equal(response.status, 503);
        assert.match(response.text, /no set today/);
        assert.deepEqual(await who(), NOBODY);
      }
    });
  });
}

describePassport('in the cookie');
describePassport('in a store', inStore);
