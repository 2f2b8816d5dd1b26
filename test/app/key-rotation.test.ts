import { strict as assert } from 'node:assert';
import type { SessionOptions } from '../..';
import { Sealer } from '../../module/cookie/Sealer';
import { later } from '../support/app';
import { count, EMPTY, KEYS, MODES, NAME, read, start, stop } from '../support/web';
for (const [ mode, given, sealedFor ] of MODES) {
  describe(`rotation of config.keys, with ${mode} in a sealed cookie`, () => {
    afterEach(stop);

    const [ first, second ] = KEYS;
    const opens = (keys: string[], value: string) => new Sealer(keys).open(sealedFor, value) !== undefined;

    it('the first key seals', async () => {
      const { client, run } = await start(given(), { keys: [ second, first ] });
      await run(count);
      assert.equal(opens([ second ], client.cookies.get(NAME)!), true);
      assert.equal(opens([ first ], client.cookies.get(NAME)!), false);
    });

    for (const [ what, handle, answer ] of [
      [ 'read', read, { n: 1, isNew: false }],
      [ 'changed', count, { n: 2 }],
    ] as const) {
      it(`a session under an old key is ${what}, and sealed under the first key in that response`, async () => {
        const options = given();
        const { client: { cookies } } = await signInWith(options, [ first ]);
        const { client, run } = await start(options, { keys: [ second, first ] });
        client.cookies.set(NAME, cookies.get(NAME)!);
        const response = await run(handle);
        assert.deepEqual(response.json(), answer);
        assert.equal(response.setCookies.length, 1);
        assert.equal(opens([ second ], client.cookies.get(NAME)!), true);
        const again = await run(read);
        assert.deepEqual(again.json(), { n: answer.n, isNew: false });
        assert.deepEqual(again.setCookies, []);
      });
    }

    it('a session under an old key that ends in that request is not sealed again', async () => {
      const options = given();
      const { client: { cookies } } = await signInWith(options, [ first ]);
      const { client, run } = await start(options, { keys: [ second, first ] });
      client.cookies.set(NAME, cookies.get(NAME)!);
      const response = await run(async session => await session.destroy());
      assert.match(response.setCookies.join('\n'), /^EGG_SESS=;.*expires=Thu, 01 Jan 1970[^\n]*$/);
    });

    it('a session under an old key that is refused is a new session, and sets no cookie', async () => {
      const options = { ...given(), valid: () => false };
      const { client: { cookies } } = await signInWith(options, [ first ]);
      const { client, run } = await start(options, { keys: [ second, first ] });
      client.cookies.set(NAME, cookies.get(NAME)!);
      const response = await run(read);
      assert.deepEqual(response.json(), EMPTY);
      assert.deepEqual(response.setCookies, []);
    });

    it('an expired session under an old key is a new session', async () => {
      const options = { ...given(), maxAge: 1000 };
      const { client: { cookies } } = await signInWith(options, [ first ]);
      const { client, run } = await start(options, { keys: [ second, first ] });
      client.cookies.set(NAME, cookies.get(NAME)!);
      later(6000); // a store of three methods keeps it for 10 s more
      const response = await run(read);
      assert.deepEqual(response.json(), EMPTY);
      if (options.store) assert.deepEqual(response.setCookies, []); // by another clock it may not have expired
      else assert.match(response.setCookies.join(), /^EGG_SESS=;/);
    });

    it('a key that was removed opens nothing', async () => {
      const options = given();
      const { client: { cookies } } = await signInWith(options, [ first ]);
      const { client, run } = await start(options, { keys: [ second ] });
      client.cookies.set(NAME, cookies.get(NAME)!);
      assert.deepEqual((await run(read)).json(), EMPTY);
      assert.deepEqual((await run(count)).json(), { n: 1 });
    });

    it('a session that was resealed outlives its old key', async () => {
      const options = given();
      const { client: { cookies } } = await signInWith(options, [ first ]);
      const during = await start(options, { keys: [ second, first ] });
      during.client.cookies.set(NAME, cookies.get(NAME)!);
      await during.run(read);
      const { client, run } = await start(options, { keys: [ second ] });
      client.cookies.set(NAME, during.client.cookies.get(NAME)!);
      assert.deepEqual((await run(read)).json(), { n: 1, isNew: false });
    });

    /** An application with these keys, and a browser with a session of it. */
    async function signInWith(options: SessionOptions, keys: string[]) {
      const started = await start(options, { keys });
      await started.run(count);
      return started;
    }
  });
}
