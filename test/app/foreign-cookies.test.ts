import { strict as assert } from 'node:assert';
import { randomInt } from 'node:crypto';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Application, Context } from 'egg';
import type { SessionOptions, SessionRecord } from '../..';
import { Sealer } from '../../module/cookie/Sealer';
import { SealedCookie } from '../../module/cookie/SealedCookie';
import { type Client, fixture } from '../support/app';
import { CookieJar } from '../support/CookieJar';
import { MapStore } from '../support/MapStore';
import { count, EMPTY, KEYS, MODES, NAME, read, start, stop } from '../support/web';

const hex = {
  encode: (record: SessionRecord) => `mine.${Buffer.from(JSON.stringify(record)).toString('hex')}`,
  decode: (text: string) => JSON.parse(Buffer.from(text.slice(5), 'hex').toString()),
};

/** What a request does with its session. */
const HANDLES: Record<string, (session: any, ctx: Context) => unknown> = {
  'does not use it': () => ({ ok: true }),
  'reads it': session => ({ n: session.n ?? null, isNew: session.isNew, length: session.length }),
  'writes it': session => {
    session.n = 1;
    return { n: session.n };
  },
  'assigns it': (_, ctx) => {
    ctx.session = { n: 1 };
    return { ok: true };
  },
  'signs out': (_, ctx) => {
    ctx.session = null;
    return { ok: true };
  },
  'destroys it': async session => {
    await session.destroy();
    return { ok: true };
  },
  'regenerates it': async session => {
    await session.regenerate();
    session.n = 1;
    return { isNew: session.isNew };
  },
  'saves it': async session => {
    await session.save();
    return { ok: true };
  },
  'updates it': async session => {
    await session.update((data: any) => {
      data.n = 1;
    });
    return { n: session.n };
  },
  'commits it': async (session, ctx) => {
    session.n = 1;
    await (ctx.session as any).manuallyCommit();
    return { ok: true };
  },
  'writes it and fails': session => {
    session.n = 1;
    throw new TypeError('it has failed');
  },
  'reads it and is not found': (session, ctx) => ctx.throw(404, `no page ${session.n}`),
  'reads it and redirects': (session, ctx) => {
    ctx.redirect(`/elsewhere?${session.n}`);
    return { ok: true };
  },
  'creates one and signs out': async session => {
    session.n = 1;
    await session.save();
    await session.destroy();
    return { ok: true };
  },
};

const FORMS: Array<[ form: string, options: SessionOptions ]> = [
  [ 'sealed', {}],
  [ 'sealed, with rolling', { rolling: true }],
  [ 'sealed, with renew', { renew: true }],
  [ 'sealed, where egg-session\'s are accepted too', { acceptLegacyCookie: true }],
  [ 'signed', { encrypt: false }],
  [ 'encoded by the application, and encrypted', hex ],
  [ 'encoded by the application, and signed', { ...hex, encrypt: false }],
  [ 'readable', { encrypt: false, signed: false }],
];

/** The whole answer, but for what differs by the time or by chance. */
type Answer = { status: number; headers: string[]; text: string };

/** Sends a request with these cookies. */
async function send(client: Client, cookie: string | undefined, path: string): Promise<Answer> {
  const { port } = (client as unknown as { server: http.Server }).server.address() as AddressInfo;
  const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
    http.get({ host: '127.0.0.1', port, path, agent: false, headers: cookie === undefined ? {} : { cookie } }, resolve).on('error', reject);
  });
  let text = '';
  for await (const chunk of response.setEncoding('latin1')) text += chunk;
  const { rawHeaders } = response;
  const headers = rawHeaders.map((value, i) => (/^(date|x-readtime)$/i.test(rawHeaders[i - 1]) ? '' : value
    .replace(/^(EGG_SESS(?:\.sig)?=)([^;]*)/, (_, name, { length }) => `${name}${length} characters`)
    .replace(/expires=(?!Thu, 01 Jan 1970)[^;]*/, 'expires')));
  return { status: response.statusCode!, headers, text };
}

const CHARACTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

/** What the value of a cookie can be changed to. */
function* changes(value: string): Generator<string> {
  const other = (c: string) => (c === 'A' ? 'B' : 'A');
  yield 'x';
  yield value.slice(0, -1);
  yield value.slice(1);
  yield `${value}A`;
  yield value.toLowerCase();
  yield `"${value.slice(0, -8)}${[ ...value.slice(-8) ].map(other).join('')}"`;
  yield value + value;
  yield `1${value.slice(1)}`;
  for (;;) {
    const at = randomInt(value.length - 1); // the last character may have bits that are nobody's
    const c = CHARACTERS[randomInt(CHARACTERS.length)];
    if (c !== value[at]) yield value.slice(0, at) + c + value.slice(at + 1);
  }
}

for (const [ mode, given, sealedFor ] of MODES) {
  for (const [ form, options ] of FORMS) {
    describe(`a cookie with ${mode}, ${form}, that does not open`, () => {
      let client: Client;
      let values: string[];
      const events: string[] = [];
      const { handle } = fixture;
      const paths: string[] = [];
      before(async () => {
        const started = await start({ ...given(), ...options });
        ({ client } = started);
        for (const name of [ 'invalid', 'expired' ]) (started.app as unknown as Application).on(`session:${name}`, () => events.push(name));
        await client.run(count);
        const value = client.cookies.get(NAME)!;
        const signature = client.cookies.get(`${NAME}.sig`);
        // CBC has no authentication: what a change gives may open
        const all = 'encode' in options && !('encrypt' in options) || options.acceptLegacyCookie || options.signed === false
          ? [ 'x', value.slice(0, 20), '%00', new Sealer([ 'another key' ]).seal(sealedFor, '{"n":7}') ]
          : [ ...take(changes(value), 12), new Sealer([ 'another key' ]).seal(sealedFor, '{"n":7}'), new Sealer(KEYS).seal('other', '{"n":7}') ];
        values = all.filter(each => each !== value).map(each => `${NAME}=${each}`);
        if (signature) {
          values = values.flatMap(each => [ each, `${each}; ${NAME}.sig=${signature}`, `${NAME}.sig=x; ${each}` ]);
          values.push(`${NAME}=${value}`, `${NAME}=${value}; ${NAME}.sig=${signature.slice(1)}`);
        }
        paths.push(...Object.values(HANDLES).map((_, i) => `/run?handle=${i}`));
        fixture.handle = (session, ctx) => Object.values(HANDLES)[Number(ctx.query.handle)](session, ctx);
      });
      after(async () => {
        fixture.handle = handle;
        paths.length = 0;
        await stop();
      });

      Object.keys(HANDLES).forEach((what, i) => {
        // without a signature, any id may be one of ours, and this response would have replaced it
        if (options.signed === false && what === 'creates one and signs out') return;
        it(`gets the answer that no cookie gets, from a request that ${what}`, async () => {
          events.length = 0;
          const expected = await send(client, undefined, paths[i]);
          if (!/writes|assigns|regenerates|saves|updates|commits/.test(what)) {
            assert.ok(!expected.headers.some(line => line.startsWith(NAME)), expected.headers.join());
          }
          for (const value of values) assert.deepEqual(await send(client, value, paths[i]), expected, value);
          await new Promise(setImmediate);
          assert.deepEqual(events, []);
        });
      });
    });
  }

  it(`a thousand changed cookies with ${mode} get the answer that no cookie gets`, async () => {
    const { client } = await start(given());
    const { handle } = fixture;
    try {
      await client.run(count);
      fixture.handle = session => ({ n: session.n ?? null, isNew: session.isNew });
      const expected = await send(client, undefined, '/run');
      const values = take(changes(client.cookies.get(NAME)!), 1000);
      for (let i = 0; i < values.length; i += 10) {
        const answers = await Promise.all(values.slice(i, i + 10).map(value => send(client, `${NAME}=${value}`, '/run')));
        answers.forEach((answer, j) => assert.deepEqual(answer, expected, values[i + j]));
      }
    } finally {
      fixture.handle = handle;
      await stop();
    }
  });

  describe(`cookies with ${mode}`, () => {
    afterEach(stop);

    it('of another application of this host stay until this one writes a session', async () => {
      const theirs = await start(given(), { keys: [ 'their key' ] });
      await theirs.run(count);
      const mine = given();
      const { client, run } = await start(mine);
      client.cookies.set(NAME, theirs.client.cookies.get(NAME)!);
      for (const handle of [ 'does not use it', 'reads it', 'signs out', 'destroys it', 'reads it and is not found', 'creates one and signs out' ]) {
        await client.tryRun(HANDLES[handle]);
        assert.equal(client.cookies.get(NAME), theirs.client.cookies.get(NAME), handle);
      }
      assert.deepEqual((await run(count)).json(), { n: 1 });
      assert.deepEqual((await run(count)).json(), { n: 2 });
    });

    it('stay good during a rollout in which some servers have the new key', async () => {
      const shared = given();
      const now = [ 'new key', 'old key' ];
      const { run, client } = await start(shared, { keys: now });
      await run(count);
      const old = await start(shared, { keys: [ 'old key' ] });
      const there = old.client.another(client.cookies);
      for (const handle of [ 'does not use it', 'reads it', 'signs out', 'reads it and redirects' ]) await there.run(HANDLES[handle]);
      const { client: next } = await start(shared, { keys: now });
      assert.deepEqual((await next.another(client.cookies).run(count)).json(), { n: 2 });
    });

    it('may be in quotes', async () => {
      const forms: SessionOptions[] = [{}, { encrypt: false }, { encrypt: false, signed: false }, hex, { ...hex, encrypt: false }];
      for (const options of forms) {
        const { client, run } = await start({ ...given(), ...options });
        await run(count);
        const all = [ ...client.cookies ];
        const quoted = (...names: string[]) => all.map(([ name, value ]) => `${name}=${names.includes(name) ? `"${value}"` : value}`).join('; ');
        for (const cookie of [ quoted(NAME), quoted(NAME, `${NAME}.sig`), quoted(`${NAME}.sig`) ]) {
          const response = await client.another().run(read, { cookie });
          assert.deepEqual([ response.json(), response.setCookies ], [{ n: 1, isNew: false }, []], cookie);
        }
        for (const value of [ `""${all[0][1]}""`, `"${all[0][1]}`, '"', '""' ]) {
          const cookie = [ `${NAME}=${value}`, ...all.slice(1).map(pair => pair.join('=')) ].join('; ');
          if ('decode' in options && !('encrypt' in options) || options.signed === false) continue; // Base64 ignores quotes
          assert.deepEqual((await client.another().run(read, { cookie })).json(), EMPTY, cookie);
        }
      }
    });

    it('of egg-session may be in quotes', async () => {
      const { client, run } = await start({ ...given(), acceptLegacyCookie: true });
      let cookie = '';
      await run((_, ctx) => {
        const text = sealedFor === NAME ? Buffer.from('{"n":1}').toString('base64') : 'an-id';
        cookie = `${NAME}="${(ctx.cookies as any).keys.encrypt(text).toString('base64')}"`;
      });
      const { setCookies } = await client.another().run(read, { cookie });
      assert.equal(setCookies.length, sealedFor === NAME ? 1 : 0);
    });

    for (const [ what, before ] of [[ 'U+00A0', '\xa0' ], [ 'U+0085', '\x85' ], [ 'a letter', 'x' ], [ 'a quote', '"' ]]) {
      it(`do not have the name when ${what} goes before it`, async () => {
        const { client, run } = await start({ ...given(), key: '__Host-sid' }, { config: { proxy: true } });
        const headers = { 'x-forwarded-proto': 'https' };
        await run(count, headers);
        const value = client.cookies.get('__Host-sid')!;
        for (const cookie of [ `${before}__Host-sid=${value}`, `a=b; ${before}__Host-sid=${value}`, `__Host-sid=x;${before} __Host-sid=${value}` ]) {
          assert.deepEqual((await client.another().run(read, { ...headers, cookie })).json(), EMPTY, cookie);
        }
        for (const cookie of [ ` __Host-sid=${value}`, `a=b;\t__Host-sid=${value}\t`, `a=b;__Host-sid= ${value} ;c` ]) {
          assert.deepEqual((await client.another().run(read, { ...headers, cookie })).json(), { n: 1, isNew: false }, cookie);
        }
      });
    }

    it('are tried up to four times in a request, however many there are', async () => {
      const { client, run } = await start(given());
      await run(count);
      const good = client.cookies.get(NAME)!;
      const { open } = SealedCookie.prototype;
      let tried = 0;
      const sealer = Sealer.prototype as unknown as { open(name: string, value: string): unknown };
      const { open: unseal } = sealer;
      sealer.open = function(name, value) {
        tried++;
        return unseal.call(this, name, value);
      };
      try {
        const junk = (n: number, make: () => string) => Array.from({ length: n }, () => `${NAME}=${make()}`);
        const forged = () => new Sealer(KEYS).seal('other', `${Math.random()}`);
        for (const [ cookies, most ] of [
          [ junk(80, forged), 4 ],
          [ junk(400, () => 'x'), 0 ],
          [ junk(80, () => new Sealer([ 'another key' ]).seal(sealedFor, 'x')), 0 ],
        ] as const) {
          tried = 0;
          assert.deepEqual((await client.another().run(read, { cookie: cookies.join('; ') })).json(), EMPTY);
          assert.equal(tried, most);
          // what has opened here before is found among all of them
          tried = 0;
          assert.equal((await client.another().run(read, { cookie: [ ...cookies, `${NAME}=${good}` ].join('; ') })).json().n, 1);
          assert.equal(tried, most);
        }
        const fresh = await start({ ...given() });
        assert.equal(open, SealedCookie.prototype.open);
        tried = 0;
        await fresh.client.run(read, { cookie: [ ...junk(3, forged), `${NAME}=${good}`, ...junk(40, forged) ].join('; ') });
        assert.equal(tried, 4);
      } finally {
        sealer.open = unseal;
      }
    });
  });
}

it('at most four sessions are read for a request, however many genuine cookies it has', async () => {
  const store = new MapStore();
  try {
    const { client } = await start({ store });
    const cookies = new CookieJar();
    const all: string[] = [];
    for (let i = 0; i < 20; i++) {
      cookies.clear();
      await client.another(cookies).run(count);
      all.push(`${NAME}=${cookies.get(NAME)}`);
    }
    const { get } = store;
    let reads = 0;
    store.get = key => {
      reads++;
      return get.call(store, key);
    };
    assert.equal((await client.another().run(read, { cookie: all.join('; ') })).json().n, 1);
    assert.equal(reads, 4);
  } finally {
    await stop();
  }
});

function take<T>(values: Iterable<T>, most: number): T[] {
  const taken = new Set<T>();
  for (const value of values) {
    taken.add(value);
    if (taken.size === most) break;
  }
  return [ ...taken ];
}
