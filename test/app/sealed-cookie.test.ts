import { strict as assert } from 'node:assert';
import { randomBytes } from 'node:crypto';
import type { Context } from 'egg';
import fc from 'fast-check';
import { Sealer } from '../../module/cookie/Sealer';
import type { Client } from '../support/app';
import { openByHand, sealByHand } from '../support/by-hand';
import { MapStore } from '../support/MapStore';
import { count, DAY, EMPTY, KEYS, listen, MODES, NAME, read, start, stop } from '../support/web';
describe('a sealed cookie', () => {
  afterEach(stop);

  it('is sealed as docs/cookie.md says', async () => {
    const { client, run } = await start();
    const from = Date.now();
    await run(count);
    const to = Date.now();
    const { text } = await openByHand(KEYS[0], NAME, client.cookies.get(NAME)!);
    const { _expire, _createdAt, ...rest } = JSON.parse(text);
    assert.deepEqual(rest, { n: 1, _maxAge: DAY });
    assert.ok(from + DAY <= _expire && _expire <= to + DAY);
    assert.ok(from <= _createdAt && _createdAt <= to);
    client.cookies.set(NAME, await sealByHand(KEYS[0], NAME, '{"n":41}', randomBytes(24)));
    assert.deepEqual((await run(count)).json(), { n: 42 });
  });
});

for (const [ mode, given, sealedFor ] of MODES) {
  describe(`a sealed cookie with ${mode} that is rejected`, () => {
    afterEach(stop);

    /** What an answer shows to whoever asked, but for what differs by the time or by chance. */
    const visible = ({ status, headers, text, setCookies }: Awaited<ReturnType<Client['request']>>) =>
      ({ status, headers: { ...headers, date: '', 'x-readtime': '', 'set-cookie': setCookies.map(hideChance) }, text });
    const hideChance = (line: string) => line.replace(/=[^;]*/, value => `=${value.length} characters`)
      .replace(/expires=(?!Thu, 01 Jan 1970)[^;]*/, 'expires');

    const CASES: Array<[ what: string, change: (value: string, ctx: Context) => string ]> = [
      [ 'changed', value => value.slice(0, -5) + (value.at(-5) === 'A' ? 'B' : 'A') + value.slice(-4) ],
      [ 'truncated', value => value.slice(0, 40) ],
      [ 'of another version', value => `1${value.slice(1)}` ],
      [ 'under a key that was removed', value => new Sealer([ 'a removed key' ]).seal(sealedFor, value) ],
      [ 'of another cookie', value => new Sealer(KEYS).seal('other', value) ],
      [ 'that holds no session', () => new Sealer(KEYS).seal(NAME, 'no JSON') ],
      [ 'that Egg encrypted', (value, ctx) => (ctx.cookies as any).keys.encrypt(value).toString('base64') ],
      [ 'of 16 KB', value => value.repeat(Math.ceil(16384 / value.length)) ],
      [ 'that is garbage', () => '%00"\xff\xfe{}__proto__' ],
    ];
    for (const logValue of [ true, false ]) {
      it(`answers as it does without a cookie, and leaves it alone, without a word, with logValue: ${logValue}`, async () => {
        const { app, client, run } = await start({ ...given(), logValue });
        await run(count);
        const real = client.cookies.get(NAME)!;
        const fresh = { read: visible(await client.another().run(read)), count: visible(await client.another().run(count)) };
        assert.equal(fresh.count.headers['set-cookie'].length, 1);
        const { events, lines } = listen(app);
        for (const [ what, change ] of CASES) {
          let value = '';
          await client.another().run((_, ctx) => {
            value = change(real, ctx);
          });
          for (const [ name, handle ] of [[ 'read', read ], [ 'count', count ]] as const) {
            const browser = client.another();
            browser.cookies.set(NAME, value);
            assert.deepEqual(visible(await browser.run(handle)), fresh[name], what);
            assert.deepEqual((await browser.run(read)).setCookies, [], what);
          }
        }
        assert.deepEqual(events, []);
        assert.deepEqual(lines(), []);
      });
    }
  });
}

for (const [ mode, given, sealedFor ] of MODES) {
  describe(`a sealed cookie with ${mode} among others of its name, as another host of the domain can set them`, () => {
    afterEach(stop);

    it('is found, and stays', async () => {
      const { app, client, run } = await start(given());
      await run(count);
      const good = client.cookies.get(NAME)!;
      const bad = [ '', 'x', '2', new Sealer([ 'another key' ]).seal(sealedFor, '{"n":5}'), new Sealer(KEYS).seal('other', '{"n":5}'),
        good.slice(0, -1), `${good}A`, `"${good}` ];
      const { events } = listen(app);
      for (const each of bad) {
        for (const values of [[ each, good ], [ good, each ], [ each, each, good ], [ each, good, each ]]) {
          const cookie = [ 'other=1', ...values.map(value => `${NAME}=${value}`), `x${NAME}=${each}` ].join('; ');
          const response = await client.another().run(read, { cookie });
          assert.deepEqual(response.json(), { n: 1, isNew: false }, cookie);
          assert.deepEqual(response.setCookies, [], cookie);
        }
      }
      assert.deepEqual(events, []);
    });

    it('is a new session when all of them are empty, and that is nothing to tell of', async () => {
      const { app, client } = await start(given());
      const { events } = listen(app);
      const response = await client.run(read, { cookie: `${NAME}=; ${NAME}=` });
      assert.deepEqual(response.json(), EMPTY);
      assert.deepEqual(response.setCookies, []);
      assert.deepEqual(events, []);
    });

    it('is a new session when none of them opens, and that is nothing to tell of', async () => {
      const { app, client } = await start(given());
      const { events } = listen(app);
      const response = await client.run(read, { cookie: `${NAME}=a; ${NAME}=b; ${NAME}=c` });
      assert.deepEqual(response.json(), EMPTY);
      assert.deepEqual(response.setCookies, []);
      assert.deepEqual(events, []);
    });
  });
}

describe('a sealed cookie with the id of a session that is not in the store', () => {
  afterEach(stop);

  for (const [ what, keys ] of [[ 'the first key', KEYS ], [ 'an old key', [ KEYS[1], KEYS[0] ]]] as const) {
    it(`under ${what}: a new session, and no cookie`, async () => {
      const store = new MapStore();
      const { client: { cookies }, run: before } = await start({ store });
      await before(count);
      store.entries.clear();
      const { app, client, run } = await start({ store }, { keys: [ ...keys ] });
      const { events } = listen(app);
      client.cookies.set(NAME, cookies.get(NAME)!);
      const response = await run(read);
      assert.deepEqual(response.json(), EMPTY);
      assert.deepEqual(response.setCookies, []);
      assert.equal(response.headers['cache-control'], undefined);
      assert.deepEqual(events, [ 'missed' ]);
      assert.equal(store.entries.size, 0);
    });
  }
});

describe('any session', () => {
  afterEach(stop);

  for (const [ mode, given ] of MODES) {
    it(`comes back as it was, with ${mode} in a sealed cookie`, async () => {
      const { client } = await start(given());
      await fc.assert(fc.asyncProperty(fc.jsonValue(), fc.fullUnicodeString(), async (data, text) => {
        fc.pre(JSON.stringify({ data, text }).length < 2000);
        const browser = client.another();
        await browser.run(session => {
          Object.assign(session, { data, text });
        });
        assert.equal((await browser.run(session => ({ ...session }))).text, JSON.stringify({ data, text }));
      }), { numRuns: 200 });
    });
  }
});
