import { strict as assert } from 'node:assert';
import type { SessionOptions } from '../..';
import { SealedCookie } from '../../module/cookie/SealedCookie';
import { Sealer } from '../../module/cookie/Sealer';
import { gate } from '../support/concurrent';
import { later } from '../support/app';
import { IndexedSite, MEMORY } from '../support/indexed';
import { MapStore } from '../support/MapStore';
import { count, DAY, EMPTY, KEYS, MODES, NAME, read, start, stop } from '../support/web';

const BASE64URL = [ ...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_' ];

/** A sealer, and what it was asked to open. */
function counting(keys = KEYS) {
  const sealer = new Sealer(keys);
  const opened: string[] = [];
  const open = sealer.open.bind(sealer);
  sealer.open = (name, value) => {
    opened.push(value);
    return open(name, value);
  };
  return { sealer, opened };
}

describe('sealed values that have opened', () => {
  it('are remembered, and so are those that were sealed here', () => {
    const { sealer, opened } = counting();
    const cookie = new SealedCookie(sealer, NAME);
    const theirs = new Sealer(KEYS).seal(NAME, 'theirs');
    const mine = cookie.seal('mine');
    for (let i = 0; i < 3; i++) {
      assert.deepEqual(cookie.open(theirs), { text: 'theirs', stale: false });
      assert.deepEqual(cookie.open(mine), { text: 'mine', stale: false });
    }
    assert.deepEqual(opened, [ theirs ]);
  });

  it('stay stale under an older key', () => {
    const { sealer, opened } = counting();
    const cookie = new SealedCookie(sealer, NAME);
    const value = new Sealer([ KEYS[1] ]).seal(NAME, 'old');
    for (let i = 0; i < 3; i++) assert.deepEqual(cookie.open(value), { text: 'old', stale: true });
    assert.equal(opened.length, 1);
  });

  it('are not, when they do not open', () => {
    const { sealer, opened } = counting();
    const cookie = new SealedCookie(sealer, NAME);
    const bad = [ '', 'garbage', new Sealer([ 'another key' ]).seal(NAME, 'x'), new Sealer(KEYS).seal('other', 'x') ];
    for (let i = 0; i < 2; i++) for (const value of bad) assert.equal(cookie.open(value), undefined);
    assert.deepEqual(opened, [ ...bad, ...bad ]);
  });

  it('open by their exact text: each change of one character of a remembered one is refused', () => {
    const cookie = new SealedCookie(new Sealer(KEYS), NAME);
    const value = cookie.seal('{"n":1}');
    assert.ok(cookie.open(value));
    for (let at = 0; at < value.length; at++) {
      for (const character of [ ...BASE64URL, '=', '"', ' ', '\xff' ]) {
        if (character === value[at]) continue;
        assert.equal(cookie.open(value.slice(0, at) + character + value.slice(at + 1)), undefined, `${at} ${character}`);
      }
    }
    for (const other of [ value.slice(1), value.slice(0, -1), `${value}A`, `${value}=`, `"${value}"`, value.toLowerCase() ]) {
      assert.equal(cookie.open(other), undefined);
    }
    assert.ok(cookie.open(value));
  });

  it('take no more room than there is, with what they hold', () => {
    const { sealer, opened } = counting();
    const cookie = new SealedCookie(sealer, NAME);
    const first = cookie.seal('first');
    const fill = (values: number) => {
      for (let i = 0; i < values; i++) cookie.seal('x'.repeat(2000)); // 2,700 characters hold 2,000
    };
    fill(200);
    assert.ok(cookie.open(first));
    assert.deepEqual(opened, []);
    fill(250);
    assert.ok(cookie.open(first));
    assert.deepEqual(opened, [ first ]);
  });

  it('are forgotten when newer ones need the room, those that were not asked for the longest first', () => {
    const { sealer, opened } = counting();
    const cookie = new SealedCookie(sealer, NAME);
    const text = 'x'.repeat(100_000);
    const [ asked, unasked ] = [ cookie.seal('asked'), cookie.seal('unasked') ];
    for (let i = 0; i < 50; i++) {
      cookie.seal(text);
      assert.ok(cookie.open(asked));
    }
    assert.deepEqual(opened, []);
    assert.deepEqual(cookie.open(unasked), { text: 'unasked', stale: false });
    assert.deepEqual(opened, [ unasked ]);
    const { opened: cache } = cookie as unknown as { opened: { calculatedSize: number; maxSize: number } };
    assert.ok(cache.calculatedSize <= cache.maxSize);
  });
});

for (const [ mode, given, sealedFor ] of MODES) {
  describe(`a cookie that has opened before, with ${mode}`, () => {
    afterEach(stop);

    /** A browser whose cookie the process has opened before. */
    async function signIn(options: SessionOptions = {}) {
      const started = await start({ ...given(), ...options });
      await started.run(count);
      assert.deepEqual((await started.run(read)).json(), { n: 1, isNew: false });
      return started;
    }

    it('is refused once it has expired', async () => {
      const { run } = await signIn({ maxAge: 1000 });
      later(12_000); // a store of three methods keeps it for 10 s more
      assert.deepEqual((await run(read)).json(), EMPTY);
    });

    it('is refused once absoluteMaxAge is over', async () => {
      const { run } = await signIn({ absoluteMaxAge: 60_000 });
      later(61_000);
      assert.deepEqual((await run(read)).json(), EMPTY);
    });

    it('is refused by a process that has not its key any more', async () => {
      const options = given();
      const before = await start(options, { keys: [ KEYS[0] ] });
      await before.run(count);
      await before.run(read);
      const { client, run } = await start(options, { keys: [ KEYS[1] ] });
      client.cookies.set(NAME, before.client.cookies.get(NAME)!);
      assert.deepEqual((await run(read)).json(), EMPTY);
    });

    it('is not taken for what the other kind holds, nor one of that for this', async () => {
      const { client, run } = await signIn();
      const name = sealedFor === NAME ? `${NAME} id` : NAME;
      const text = new Sealer(KEYS).open(sealedFor, client.cookies.get(NAME)!)!.text;
      client.cookies.set(NAME, new Sealer(KEYS).seal(name, text));
      for (let i = 0; i < 2; i++) assert.deepEqual((await client.copy().run(read)).json(), EMPTY);
      assert.deepEqual((await run(read)).json(), EMPTY);
    });

    it('gives each request an object of its own', async () => {
      const { client, run } = await signIn();
      await run(session => {
        session.basket = { books: [ 'a' ] };
      });
      const [ mine, theirs ] = [ gate(), gate() ];
      const changing = client.copy().run(async (session, ctx) => {
        session.basket.books.push('b');
        mine.open();
        await theirs.opened;
        ctx.session = null; // what has changed is nobody's
        return { ok: true };
      });
      await mine.opened;
      const seen = await client.copy().run(session => ({ books: session.basket.books }));
      theirs.open();
      await changing;
      assert.deepEqual(seen.json(), { books: [ 'a' ] });
    });

    it('is sealed anew when its key is an older one', async () => {
      const options = { ...given(), rolling: true };
      const before = await start(options, { keys: [ KEYS[0] ] });
      await before.run(count);
      const { client, run } = await start(options, { keys: [ KEYS[1], KEYS[0] ] });
      const old = before.client.cookies.get(NAME)!;
      for (let i = 0; i < 2; i++) {
        client.cookies.set(NAME, old);
        await run(read);
        assert.notEqual(client.cookies.get(NAME), old);
        assert.deepEqual(new Sealer([ KEYS[1] ]).open(sealedFor, client.cookies.get(NAME)!)?.stale, false);
      }
    });
  });
}

describe('a cookie that has opened before, with the id of a session in a store', () => {
  afterEach(stop);

  it('keeps its text when the session is renewed, and lives on', async () => {
    const { client, run } = await start({ store: new MapStore(), rolling: true });
    await run(count);
    const value = client.cookies.get(NAME)!;
    later(DAY / 2);
    const { setCookies } = await run(read);
    assert.match(setCookies.join(), new RegExp(`^${NAME}=${value};.*max-age=${DAY / 1000};`));
    later(DAY);
    assert.deepEqual((await client.copy().run(read)).json(), { n: 1, isNew: false });
  });

  it('gets another text with another id', async () => {
    const { client, run } = await start({ store: new MapStore(), rolling: true });
    await run(count);
    const value = client.cookies.get(NAME)!;
    const old = client.copy();
    await run(session => session.regenerate());
    assert.notEqual(client.cookies.get(NAME), value);
    assert.deepEqual((await old.run(read)).json(), EMPTY);
    assert.deepEqual((await run(read)).json(), { n: 1, isNew: false });
  });

  it('is refused after sign-out, wherever that was', async () => {
    const { client, run } = await start({ store: new MapStore() });
    await run(count);
    const copy = client.copy();
    await copy.run(read);
    await run(session => session.destroy());
    assert.deepEqual((await copy.run(read)).json(), EMPTY);
  });

  it('is refused after sessionRegistry has revoked it', async () => {
    const site = new IndexedSite(MEMORY);
    await site.boot();
    try {
      const browser = await site.signIn(7);
      assert.equal(await site.user(browser), 7);
      const copy = browser.copy();
      assert.equal(await site.registry.revokeAll(7), 1);
      assert.equal(await site.user(copy), null);
    } finally {
      await site.close();
    }
  });
});
