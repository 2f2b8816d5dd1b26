import { strict as assert } from 'node:assert';
import type { Application } from 'egg';
import type { MockApplication } from 'egg-mock';
import { Client, createApp } from '../support/app';
import { MapStore } from '../support/MapStore';

const inStore = (app: Application) => {
  app.sessionStore = new MapStore();
};

function describeSecurity(mode: string, boot?: (app: Application) => void) {
  describe(`egg-security with csrf.useSession, the session ${mode}`, () => {
    let app: MockApplication;
    let server: Client;
    let client: Client;
    before(async () => {
      app = await createApp('security', { boot });
      server = await Client.of(app);
    });
    beforeEach(() => {
      client = server.another();
    });
    after(async () => {
      await server.close();
      await app.close();
    });

    const tokenIn = ({ text }: { text: string }) => /name="_csrf" value="([^"]+)"/.exec(text)![1];
    const post = (path: string, fields: Record<string, string>, by = client) => by.request(path, {
      method: 'POST',
      body: new URLSearchParams(fields),
    });

    const describePages = (pages: string, others: string) => {
      describe(`a page of ${pages === 'tegg' ? 'a tegg controller' : 'app/router'}`, () => {
        it('gives a token, and keeps its secret in the session alone', async () => {
          const response = await client.request(`/${pages}/form`);
          assert.equal(response.status, 200);
          assert.match(tokenIn(response), /^[\w-]{20,}$/);
          assert.deepEqual([ ...client.cookies.keys() ], [ 'EGG_SESS' ]);
        });

        it('accepts a form with its token', async () => {
          const token = tokenIn(await client.request(`/${pages}/form`));
          const response = await post(`/${pages}/form`, { _csrf: token, text: 'hello' });
          assert.equal(response.status, 200);
          assert.deepEqual(response.json(), { text: 'hello' });
        });

        it('accepts the token in the header x-csrf-token', async () => {
          const token = tokenIn(await client.request(`/${pages}/form`));
          const response = await client.request(`/${pages}/form`, {
            method: 'POST',
            headers: { 'content-type': 'application/json', 'x-csrf-token': token },
            body: '{"text":"hello"}',
          });
          assert.equal(response.status, 200);
          assert.deepEqual(response.json(), { text: 'hello' });
        });

        it('refuses a form without a token', async () => {
          await client.request(`/${pages}/form`);
          const response = await post(`/${pages}/form`, { text: 'hello' });
          assert.equal(response.status, 403);
          assert.match(response.text, /invalid csrf token/);
        });

        it('refuses a form of a browser that has no session yet', async () => {
          const token = tokenIn(await client.request(`/${pages}/form`));
          assert.equal((await post(`/${pages}/form`, { _csrf: token }, server.another())).status, 403);
        });

        it('refuses the token of another session', async () => {
          await client.request(`/${pages}/form`);
          const other = server.another();
          const token = tokenIn(await other.request(`/${pages}/form`));
          assert.equal((await post(`/${pages}/form`, { _csrf: token })).status, 403);
          assert.equal((await post(`/${pages}/form`, { _csrf: token }, other)).status, 200);
        });

        it('accepts one token again and again, beside the tokens of later pages', async () => {
          const first = tokenIn(await client.request(`/${pages}/form`));
          for (const text of [ 'a', 'b', 'c' ]) {
            const later = tokenIn(await client.request(`/${pages}/form`));
            assert.notEqual(later, first);
            for (const token of [ first, later ]) {
              assert.deepEqual((await post(`/${pages}/form`, { _csrf: token, text })).json(), { text });
            }
          }
        });

        it(`accepts a token of the ${others} pages`, async () => {
          const token = tokenIn(await client.request(`/${others}/form`));
          assert.equal((await post(`/${pages}/form`, { _csrf: token, text: 'hello' })).status, 200);
        });

        it('gives a new secret at sign-in, and refuses tokens of the time before', async () => {
          const before = tokenIn(await client.request(`/${pages}/form`));
          const secret = (await client.request('/tegg/secret')).json();
          const after = tokenIn(await post(`/${pages}/sign-in`, { _csrf: before, user: 'alice' }));
          assert.notDeepEqual((await client.request('/tegg/secret')).json(), secret);
          assert.equal((await post(`/${pages}/form`, { _csrf: before, text: 'hello' })).status, 403);
          const response = await post(`/${pages}/form`, { _csrf: after, text: 'hello' });
          assert.deepEqual(response.json(), { user: 'alice', text: 'hello' });
        });

        it('refuses to sign in without a token, and leaves the session as it was', async () => {
          const token = tokenIn(await client.request(`/${pages}/form`));
          assert.equal((await post(`/${pages}/sign-in`, { user: 'alice' })).status, 403);
          assert.deepEqual((await post(`/${pages}/form`, { _csrf: token, text: 'hello' })).json(), { text: 'hello' });
        });
      });
    };
    describePages('classic', 'tegg');
    describePages('tegg', 'classic');
  });
}

describeSecurity('in the cookie');
describeSecurity('in a store', inStore);
