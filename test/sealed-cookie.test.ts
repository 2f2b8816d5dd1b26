import { strict as assert } from 'node:assert';
import { randomBytes, webcrypto } from 'node:crypto';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { inspect } from 'node:util';
import type { Application, Context } from 'egg';
import mm, { type MockApplication } from 'egg-mock';
import fc from 'fast-check';
import type { SessionOptions, SessionRecord } from '..';
import { Sealer } from '../module/Sealer';
import { resolveConfig } from '../module/SessionConfig';
import { type AppOptions, Client, createApp, fixture, fixtureDir, later } from './support/app';
import { bootError } from './support/boot';
import { MapStore } from './support/MapStore';

const KEYS = [ 'a test key', 'another test key' ];
const NAME = 'EGG_SESS';
const DAY = 24 * 3600 * 1000;
const QUIET = { logger: { consoleLevel: 'NONE', coreLogger: { consoleLevel: 'NONE' } } };
const HTTPS = { 'x-forwarded-proto': 'https' };
/** The characters of base64url, and the others that a cookie's value may have (RFC 6265, 4.1.1). */
const BASE64URL = [ ...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_' ];

type Handle = (session: any, ctx: Context) => unknown;

const count: Handle = session => {
  session.n = (session.n ?? 0) + 1;
  return { n: session.n };
};
const read: Handle = session => ({ n: session.n ?? null, isNew: session.isNew });
const EMPTY = { n: null, isNew: true };

const open: Array<{ close(): Promise<unknown> }> = [];

/** Boots the application with these options, after the one before it has ended. */
async function start(session: SessionOptions = {}, { config, boot, keys = KEYS }: AppOptions & { keys?: string[] } = {}) {
  await stop();
  const options = { session, boot, config: { keys: keys.join(), ...QUIET, ...config } };
  const app = await createApp('web', options as AppOptions);
  open.unshift(app);
  return await clientOf(app);
}

/** Boots an application with the real egg-session, which egg-mock would replace by the plugin that is tested. */
async function startEggSession(session: SessionOptions = {}) {
  await stop();
  fixture.config = { session, keys: KEYS.join(), ...QUIET };
  fixture.boot = undefined;
  const app = mm.app({ baseDir: fixtureDir('egg-session'), cache: false, ...{ plugin: false } });
  await app.ready();
  open.unshift(app);
  return await clientOf(app);
}

async function clientOf(app: MockApplication) {
  const client = await Client.of(app);
  open.unshift(client);
  return { app, client, run: (handle: Handle, headers?: Record<string, string>) => client.run(handle, headers) };
}

async function stop() {
  mm.restore();
  for (const each of open.splice(0)) await each.close();
}

/** The lines about sessions in the log, and the events; both from now on. */
function listen(app: MockApplication) {
  app.mockLog('coreLogger');
  const events: string[] = [];
  for (const name of [ 'missed', 'expired', 'invalid' ]) {
    (app as unknown as Application).on(`session:${name}`, () => events.push(name));
  }
  return {
    events,
    lines: () => (app.getLogger('coreLogger') as unknown as { _mockLogs: string[] })._mockLogs
      .filter(line => line.includes('[session]')),
  };
}

/** Where sessions are kept: each test of cookies holds for the data in them, and for an id. */
const MODES: Array<[ mode: string, given: () => SessionOptions, sealedFor: string ]> = [
  [ 'the data', () => ({}), NAME ],
  [ 'the id of a session in a store', () => ({ store: new MapStore() }), `${NAME} id` ],
];

describe('Sealer', () => {
  const keyList = fc.uniqueArray(fc.fullUnicodeString({ minLength: 1 }), { minLength: 1, maxLength: 4 });
  const sessions = fc.dictionary(fc.fullUnicodeString(), fc.jsonValue()).map(session => JSON.stringify(session));
  const names = fc.constantFrom(NAME, 'sid', '__Host-sid', 'a');

  it('opens what it has sealed, for any session and any keys', () => {
    fc.assert(fc.property(keyList, names, sessions, (keys, name, text) => {
      const sealer = new Sealer(keys);
      assert.deepEqual(sealer.open(name, sealer.seal(name, text)), { text, stale: false });
    }), { numRuns: 2000 });
  });

  it('seals the same value differently each time', () => {
    fc.assert(fc.property(keyList, names, sessions, (keys, name, text) => {
      const sealer = new Sealer(keys);
      assert.equal(new Set(Array.from({ length: 20 }, () => sealer.seal(name, text))).size, 20);
    }));
  });

  it('opens what any of its keys has sealed, and tells whether it was the first', () => {
    fc.assert(fc.property(keyList, fc.nat(3), names, sessions, (keys, at, name, text) => {
      const index = at % keys.length;
      const value = new Sealer([ keys[index] ]).seal(name, text);
      assert.deepEqual(new Sealer(keys).open(name, value), { text, stale: index > 0 });
      assert.equal(new Sealer([ ...keys.slice(0, index), 'other', ...keys.slice(index + 1) ]).open(name, value), undefined);
    }));
  });

  it('makes no use of an empty key, which everybody knows', () => {
    assert.equal(new Sealer([ 'a key', '' ]).open(NAME, new Sealer([ 'a key' ]).seal(NAME, 'text'))?.text, 'text');
    assert.deepEqual(new Sealer([ '', 'a key' ]).open(NAME, new Sealer([ 'a key' ]).seal(NAME, 'text')),
      { text: 'text', stale: false });
    assert.throws(() => new Sealer([ '' ]), /config\.keys is empty/);
  });

  it('opens nothing under another name', () => {
    fc.assert(fc.property(keyList, fc.fullUnicodeString(), fc.fullUnicodeString(), sessions, (keys, one, two, text) => {
      fc.pre(one !== two);
      const sealer = new Sealer(keys);
      assert.equal(sealer.open(one, sealer.seal(two, text)), undefined);
    }));
  });

  it('opens no random text', () => {
    const sealer = new Sealer(KEYS);
    const start = sealer.seal(NAME, '').slice(0, 5);
    const bytes = fc.uint8Array({ maxLength: 200 }).map(array => Buffer.from(array).toString('base64url'));
    const texts = fc.oneof(fc.fullUnicodeString(), bytes, bytes.map(text => `1${text}`), bytes.map(text => start + text));
    fc.assert(fc.property(texts, text => {
      assert.equal(sealer.open(NAME, text), undefined);
    }), { numRuns: 10_000 });
  });

  it('opens no value that differs in one byte, whatever byte', () => {
    const sealer = new Sealer(KEYS);
    let tried = 0;
    // three lengths, as the last character of base64url has 0, 2 or 4 bits that say nothing
    for (const text of [ '', '{"n":10}', '{"n":1}', '{"n":1,"user":"alice"}' ]) {
      const value = Buffer.from(sealer.seal(NAME, text));
      assert.equal(sealer.open(NAME, value.toString())?.text, text);
      for (let at = 0; at < value.length; at++) {
        for (let byte = 0; byte < 256; byte++) {
          if (byte === value[at]) continue;
          const changed = Buffer.from(value);
          changed[at] = byte;
          // as in a header, a byte is a character
          assert.equal(sealer.open(NAME, changed.toString('latin1')), undefined);
          tried++;
        }
      }
    }
    assert.ok(tried > 50_000);
  });

  it('makes values of 1 + ⌈(31 + n) * 4 / 3⌉ characters of base64url from n bytes', () => {
    const sealer = new Sealer(KEYS);
    for (let n = 0; n < 100; n++) {
      const value = sealer.seal(NAME, 'x'.repeat(n));
      assert.equal(value.length, 1 + Math.ceil((31 + n) * 4 / 3));
      assert.match(value, /^1[\w-]+$/);
    }
    assert.equal(sealer.seal(NAME, 'ë').length, sealer.seal(NAME, 'xx').length);
  });

  describe('the format, made by WebCrypto from its description', () => {
    afterEach(stop);

    const { subtle } = webcrypto;

    async function derive(secret: string, purpose: string, bytes: number) {
      const key = await subtle.importKey('raw', Buffer.from(secret), 'HKDF', false, [ 'deriveBits' ]);
      const info = Buffer.from(`egg-tegg-session ${purpose} 1`);
      return Buffer.from(await subtle.deriveBits({ name: 'HKDF', hash: 'SHA-256', salt: Buffer.of(), info }, key, bytes * 8));
    }
    const keyOf = async (secret: string) =>
      await subtle.importKey('raw', await derive(secret, 'cookie seal', 32), 'AES-GCM', false, [ 'encrypt', 'decrypt' ]);
    const gcm = (name: string, iv: Buffer) => ({ name: 'AES-GCM', iv, additionalData: Buffer.from(`1${name}`), tagLength: 128 });

    async function sealByHand(secret: string, name: string, text: string, nonce: Buffer) {
      const sealed = await subtle.encrypt(gcm(name, nonce), await keyOf(secret), Buffer.from(text));
      return `1${Buffer.concat([ await derive(secret, 'key hint', 3), nonce, Buffer.from(sealed) ]).toString('base64url')}`;
    }
    async function openByHand(secret: string, name: string, value: string) {
      const bytes = Buffer.from(value.slice(1), 'base64url');
      const text = await subtle.decrypt(gcm(name, bytes.subarray(3, 15)), await keyOf(secret), bytes.subarray(15));
      return { version: value[0], hint: bytes.subarray(0, 3), text: Buffer.from(text).toString() };
    }

    const VECTORS = [
      { name: NAME, text: '{"n":1}', value: '1GwxhAAECAwQFBgcICQoLr87RVpwa3QFNYFfZzHg-SoVDnc9aePA' },
      { name: '__Host-sid', text: '{"user":"Zoë"}', value: '1GwxhAAECAwQFBgcICQoLr87KB8NZgoi7cTu8UNq4dYCunZ2W_jwQfEOxA3nSSQ' },
    ];
    for (const { name, text, value } of VECTORS) {
      it(`${name}=${text} under the nonce 00 01 … 0b`, async () => {
        assert.equal(await sealByHand(KEYS[0], name, text, Buffer.from([ ...Array(12).keys() ])), value);
        assert.deepEqual(new Sealer(KEYS).open(name, value), { text, stale: false });
      });
    }

    it('opens in WebCrypto', async () => {
      const value = new Sealer(KEYS).seal(NAME, '{"user":"Zoë"}');
      assert.deepEqual(await openByHand(KEYS[0], NAME, value), {
        version: '1', hint: await derive(KEYS[0], 'key hint', 3), text: '{"user":"Zoë"}',
      });
    });

    it('is what the cookie of a real response is made of', async () => {
      const { client, run } = await start();
      await run(count);
      const { text } = await openByHand(KEYS[0], NAME, client.cookies.get(NAME)!);
      const { _expire, ...rest } = JSON.parse(text);
      assert.deepEqual(rest, { n: 1, _maxAge: DAY });
      assert.ok(Math.abs(_expire - Date.now() - DAY) < 10_000);
      client.cookies.set(NAME, await sealByHand(KEYS[0], NAME, '{"n":41}', randomBytes(12)));
      assert.deepEqual((await run(count)).json(), { n: 42 });
    });
  });
});

for (const [ mode, given, sealedFor ] of MODES) {
  describe(`a sealed cookie with ${mode}`, () => {
    afterEach(stop);

    describe('tampered with', () => {
      /**
       * Sends each value in a request of its own.
       *
       * @return how many were sent, how many found a session, how many were reported, and other answers than 200
       */
      async function send({ app, client }: Awaited<ReturnType<typeof start>>, values: Iterable<string>) {
        const { handle } = fixture;
        fixture.handle = session => ({ n: session.n ?? null });
        const { port } = (client as unknown as { server: http.Server }).server.address() as AddressInfo;
        const agent = new http.Agent({ keepAlive: true });
        const queue = [ ...new Set(values) ];
        const result = { sent: queue.length, accepted: 0, reported: 0, failed: 0 };
        (app as unknown as Application).on('session:invalid', () => result.reported++);
        const next = async () => {
          while (queue.length) {
            const headers = { cookie: `${NAME}=${queue.pop()!}` };
            const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
              http.get({ host: '127.0.0.1', port, path: '/run', agent, headers }, resolve).on('error', reject);
            });
            let text = '';
            for await (const chunk of response.setEncoding('latin1')) text += chunk;
            if (response.statusCode !== 200) result.failed++;
            else if (JSON.parse(text).n !== null) result.accepted++;
          }
        };
        await Promise.all(Array.from({ length: 16 }, next));
        agent.destroy();
        fixture.handle = handle;
        return result;
      }

      /** Starts the application, and signs `users` in. */
      async function signIn(users = 1) {
        const started = await start(given());
        const values: string[] = [];
        for (let n = 0; n < users; n++) {
          const browser = started.client.another();
          await browser.run(count);
          values.push(browser.cookies.get(NAME)!);
        }
        return { started, values };
      }
      const none = (sent: number) => ({ sent, accepted: 0, reported: sent, failed: 0 });

      it('not at all: it is accepted', async () => {
        const { started, values } = await signIn(3);
        assert.deepEqual(await send(started, values), { sent: 3, accepted: 3, reported: 0, failed: 0 });
      });

      it('by any change of one byte: none is accepted', async () => {
        const { started, values: [ value ] } = await signIn();
        // all that a header may hold, but for the end of a cookie
        const characters = Array.from({ length: 256 }, (_, code) => String.fromCharCode(code))
          .filter(character => /[\t\x20-\x7e\x80-\xff]/.test(character) && character !== ';');
        const changed = [ ...value ].flatMap((original, at) => characters
          .filter(character => character !== original)
          .map(character => value.slice(0, at) + character + value.slice(at + 1)));
        assert.equal(changed.length, value.length * (characters.length - 1));
        assert.deepEqual(await send(started, changed), none(changed.length));
      });

      it('by truncation, at either end or in the middle: none is accepted', async () => {
        const { started, values: [ value ] } = await signIn();
        const truncated: string[] = [];
        for (let at = 1; at < value.length; at++) {
          truncated.push(value.slice(0, at), value.slice(at));
          for (const length of [ 1, 2, 4 ]) truncated.push(value.slice(0, at) + value.slice(at + length));
        }
        const result = await send(started, truncated);
        assert.ok(result.sent > 2 * value.length);
        assert.deepEqual(result, none(result.sent));
      });

      it('by extension, anywhere: none is accepted', async () => {
        const { started, values: [ value ] } = await signIn();
        const extended = [ value + value, `${value}.${value}`, `"${value}"`, `${value}==`, ` ${value}\t.`, `${value},${value}` ];
        for (const character of [ ...BASE64URL, '=', '.', '%', '"' ]) extended.push(value + character, character + value);
        for (let at = 1; at < value.length; at++) {
          for (const text of [ 'A', value[at], '=', 'AAAA' ]) extended.push(value.slice(0, at) + text + value.slice(at));
        }
        const result = await send(started, extended);
        assert.ok(result.sent > 3 * value.length);
        assert.deepEqual(result, none(result.sent));
      });

      it('by parts of another real cookie: none is accepted', async () => {
        const { started, values } = await signIn(4);
        const swapped: string[] = [];
        for (const one of values) {
          for (const two of values) {
            for (let at = 1; at < one.length; at++) {
              swapped.push(one.slice(0, at) + two.slice(at));
              swapped.push(one.slice(0, at) + two.slice(at, at + 16) + one.slice(at + 16));
            }
          }
        }
        const result = await send(started, swapped.filter(value => !values.includes(value)));
        assert.ok(result.sent > 1000);
        assert.deepEqual(result, none(result.sent));
      });

      it('by moving it to a cookie of another name: it is not accepted', async () => {
        const elsewhere = await start({ ...given(), key: 'other' });
        await elsewhere.run(count);
        const value = elsewhere.client.cookies.get('other')!;
        const options = given();
        const { client, run } = await start({ ...options, key: 'EGG_SES' });
        await run(count);
        assert.deepEqual(await send(await start(options), [ value, client.cookies.get('EGG_SES')! ]), none(2));
      });

      it('by taking one of an application with other keys: it is not accepted', async () => {
        const options = given();
        const { client, run } = await start(options, { keys: [ 'its key', 'its other key' ] });
        await run(count);
        assert.deepEqual(await send(await start(options), [ client.cookies.get(NAME)! ]), none(1));
      });

      it('by taking one from before the application moved to a store, or back: it is not accepted', async () => {
        const [ , other ] = MODES.find(([ name ]) => name !== mode)!;
        const { client, run } = await start(other());
        await run(count);
        assert.deepEqual(await send(await start(given()), [ client.cookies.get(NAME)! ]), none(1));
      });
    });

    describe('rotation of config.keys', () => {
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

      it('an expired session under an old key is a new session, and sets no cookie', async () => {
        const options = { ...given(), maxAge: 1000 };
        const { client: { cookies } } = await signInWith(options, [ first ]);
        const { client, run } = await start(options, { keys: [ second, first ] });
        client.cookies.set(NAME, cookies.get(NAME)!);
        later(60_000);
        const response = await run(read);
        assert.deepEqual(response.json(), EMPTY);
        assert.deepEqual(response.setCookies, []);
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

    describe('rejected', () => {
      /** What an answer shows to whoever asked, but for what differs by the time or by chance. */
      const visible = ({ status, headers, text, setCookies }: Awaited<ReturnType<Client['request']>>) =>
        ({ status, headers: { ...headers, date: '', 'x-readtime': '', 'set-cookie': setCookies.map(hideChance) }, text });
      const hideChance = (line: string) => line.replace(/=[^;]*/, value => `=${value.length} characters`)
        .replace(/expires=[^;]*/, 'expires');

      const CASES: Array<[ what: string, change: (value: string, ctx: Context) => string ]> = [
        [ 'changed', value => value.slice(0, -5) + (value.at(-5) === 'A' ? 'B' : 'A') + value.slice(-4) ],
        [ 'truncated', value => value.slice(0, 40) ],
        [ 'of another version', value => `2${value.slice(1)}` ],
        [ 'under a key that was removed', value => new Sealer([ 'a removed key' ]).seal(sealedFor, value) ],
        [ 'of another cookie', value => new Sealer(KEYS).seal('other', value) ],
        [ 'that holds no session', () => new Sealer(KEYS).seal(NAME, 'no JSON') ],
        [ 'that Egg encrypted', (value, ctx) => (ctx.cookies as any).keys.encrypt(value).toString('base64') ],
        [ 'of 16 KB', value => value.repeat(Math.ceil(16384 / value.length)) ],
        [ 'that is garbage', () => '%00"\xff\xfe{}__proto__' ],
      ];
      for (const logValue of [ true, false ]) {
        it(`answers as it does without a cookie, and tells one event and one line of the log, with logValue: ${logValue}`, async () => {
          const { app, client, run } = await start({ ...given(), logValue });
          await run(count);
          const real = client.cookies.get(NAME)!;
          const fresh = { read: visible(await client.another().run(read)), count: visible(await client.another().run(count)) };
          assert.equal(fresh.count.headers['set-cookie'].length, 1);
          const { events, lines } = listen(app);
          let told = 0;
          for (const [ what, change ] of CASES) {
            let value = '';
            await client.another().run((_, ctx) => {
              value = change(real, ctx);
            });
            for (const [ name, handle ] of [[ 'read', read ], [ 'count', count ]] as const) {
              const browser = client.another();
              browser.cookies.set(NAME, value);
              assert.deepEqual(visible(await browser.run(handle)), fresh[name], what);
              told++;
            }
            assert.deepEqual(events, Array(told).fill('invalid'), what);
            assert.equal(lines().length, told, what);
            assert.match(lines().at(-1)!, /\[session\]\[invalid\] key\(undefined\) value\((\[\]|undefined|"")\)/, what);
            for (const secret of [ value, value.slice(0, 20), real, ...KEYS ]) assert.ok(!lines().join().includes(secret), what);
          }
        });
      }
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

describe('acceptLegacyCookie', () => {
  afterEach(stop);

  const FORMS: Array<[ form: string, options: SessionOptions ]> = [
    [ 'encrypted', {}],
    [ 'signed', { encrypt: false }],
  ];
  for (const [ mode, given, sealedFor ] of MODES) {
    for (const [ form, options ] of FORMS) {
      describe(`a cookie that egg-session ${form}, with ${mode}`, () => {
        /** A session of egg-session's, then the application with this plugin in its place. */
        async function migrate(acceptLegacyCookie: boolean | undefined, more: SessionOptions = {}) {
          const shared = given();
          const before = await startEggSession({ ...shared, ...options, ...more });
          await before.run(count);
          const { cookies } = before.client;
          assert.equal(cookies.has(`${NAME}.sig`), form === 'signed');
          const started = await start({ ...shared, ...more, acceptLegacyCookie });
          for (const [ name, value ] of cookies) started.client.cookies.set(name, value);
          return { ...started, value: cookies.get(NAME)! };
        }

        for (const [ what, handle, answer ] of [
          [ 'read', read, { n: 1, isNew: false }],
          [ 'changed', count, { n: 2 }],
        ] as const) {
          it(`true: is ${what}, and sealed in that response`, async () => {
            const { app, client, run } = await migrate(true);
            const { events } = listen(app);
            const response = await run(handle);
            assert.deepEqual(response.json(), answer);
            assert.match(response.setCookies.join('\n'), /^EGG_SESS=1[\w-]{60,};[^\n]*$/);
            const again = await run(read);
            assert.deepEqual(again.json(), { n: answer.n, isNew: false });
            assert.deepEqual(again.setCookies, []);
            assert.deepEqual(events, []);
            assert.equal(new Sealer(KEYS).open(sealedFor, client.cookies.get(NAME)!)?.stale, false);
          });
        }

        for (const acceptLegacyCookie of [ false, undefined ]) {
          it(`${acceptLegacyCookie}: is a new session`, async () => {
            const { app, client, run, value } = await migrate(acceptLegacyCookie);
            const { events } = listen(app);
            const response = await run(read);
            assert.deepEqual(response.json(), EMPTY);
            assert.deepEqual(response.setCookies, []);
            assert.equal(client.cookies.get(NAME), value);
            assert.deepEqual(events, [ 'invalid' ]);
            assert.deepEqual((await run(count)).json(), { n: 1 });
          });
        }

        it('true: is refused when it has expired', async () => {
          const { run } = await migrate(true, { maxAge: 1000 });
          later(60_000);
          const response = await run(read);
          assert.deepEqual(response.json(), EMPTY);
          assert.deepEqual(response.setCookies, []);
        });

        it('true: is refused when valid says so, and no cookie is set', async () => {
          const { run } = await migrate(true, { valid: () => false });
          const response = await run(read);
          assert.deepEqual(response.json(), EMPTY);
          assert.deepEqual(response.setCookies, []);
        });

        it('true: keeps the lifetime that egg-session gave it', async () => {
          const shared = given();
          const before = await startEggSession({ ...shared, ...options });
          await before.run(session => Object.assign(session, { n: 1, maxAge: 3 * DAY }));
          const { client, run } = await start({ ...shared, acceptLegacyCookie: true });
          for (const [ name, value ] of before.client.cookies) client.cookies.set(name, value);
          assert.match((await run(read)).setCookies[0], new RegExp(`; max-age=${3 * DAY / 1000};`));
        });

        it('true: opens under an older key too', async () => {
          const { client: { cookies } } = await migrate(true);
          const shared = given();
          const before = await startEggSession({ ...shared, ...options });
          await before.run(count);
          for (const [ name, value ] of before.client.cookies) cookies.set(name, value);
          const { client, run } = await start({ ...shared, acceptLegacyCookie: true }, { keys: [ 'a new key', ...KEYS ] });
          for (const [ name, value ] of cookies) client.cookies.set(name, value);
          assert.deepEqual((await run(read)).json(), { n: 1, isNew: false });
        });

        it('true: is refused under other keys', async () => {
          const shared = given();
          const before = await startEggSession({ ...shared, ...options });
          await before.run(count);
          const { app, client, run } = await start({ ...shared, acceptLegacyCookie: true }, { keys: [ 'one', 'two' ] });
          const { events } = listen(app);
          for (const [ name, value ] of before.client.cookies) client.cookies.set(name, value);
          const response = await run(read);
          assert.deepEqual(response.json(), EMPTY);
          assert.deepEqual(response.setCookies, []);
          assert.equal(events.length, 1);
        });
      });
    }
  }

  it('true: a signed cookie that was changed is refused', async () => {
    const before = await startEggSession({ encrypt: false });
    await before.run(count);
    const { client, run } = await start({ acceptLegacyCookie: true });
    const value = Buffer.from('{"n":7}').toString('base64');
    for (const sig of [ before.client.cookies.get(`${NAME}.sig`)!, '', 'x' ]) {
      client.cookies.set(NAME, value).set(`${NAME}.sig`, sig);
      assert.deepEqual((await run(read)).json(), EMPTY);
    }
  });
});

describe('custom encode and decode, encrypt and signed', () => {
  afterEach(stop);

  const custom = {
    encode: (record: SessionRecord) => `mine.${Buffer.from(JSON.stringify(record)).toString('hex')}`,
    decode: (text: string) => JSON.parse(Buffer.from(text.slice(5), 'hex').toString()),
  };
  const base64 = (text: string) => Buffer.from(text, 'base64').toString();
  const hex = (text: string) => Buffer.from(text.slice(5), 'hex').toString();
  const SEALED = 'sealed';
  const ENCRYPTED = 'encrypted by Egg';
  const PLAIN = 'readable';

  const ROWS: Array<[ name: string, options: SessionOptions, form: string, signed: boolean, text: (value: string) => string ]> = [
    [ 'nothing', {}, SEALED, false, text => text ],
    [ 'signed: false', { signed: false }, SEALED, false, text => text ],
    [ 'encrypt: false', { encrypt: false }, PLAIN, true, base64 ],
    [ 'encrypt: false, signed: false', { encrypt: false, signed: false }, PLAIN, false, base64 ],
    [ 'encode and decode', custom, ENCRYPTED, false, hex ],
    [ 'encode and decode, signed: false', { ...custom, signed: false }, ENCRYPTED, false, hex ],
    [ 'encode and decode, encrypt: false', { ...custom, encrypt: false }, PLAIN, true, hex ],
    [ 'encode and decode, encrypt: false, signed: false', { ...custom, encrypt: false, signed: false }, PLAIN, false, hex ],
  ];
  for (const [ mode, given, sealedFor ] of MODES) {
    for (const [ name, options, form, signed, text ] of ROWS) {
      it(`${name}: ${mode} is ${form}${signed ? ', with a signature in a cookie beside it' : ''}`, async () => {
        const { client, run } = await start({ ...given(), ...options });
        const response = await run(count);
        assert.deepEqual(response.setCookies.map(line => line.replace(/=[^;]*/, '').replace(/expires=[^;]*/, 'expires')), [
          'EGG_SESS; path=/; max-age=86400; expires; samesite=lax; httponly',
          ...(signed ? [ 'EGG_SESS.sig; path=/; max-age=86400; expires; samesite=lax; httponly' ] : []),
        ]);

        const value = client.cookies.get(NAME)!;
        const sealed = new Sealer(KEYS).open(sealedFor, value);
        let decrypted: string | undefined;
        const { id } = (await run((session, ctx) => {
          decrypted = ctx.cookies.get(NAME, { encrypt: true });
          return { id: session.externalKey };
        })).json();
        assert.deepEqual([ sealed !== undefined, decrypted !== undefined ], [ form === SEALED, form === ENCRYPTED ]);
        const inside = sealed?.text ?? decrypted ?? value;
        if (mode === 'the data') assert.equal(JSON.parse(text(inside)).n, 1);
        else assert.equal(inside, id);

        assert.deepEqual((await run(count)).json(), { n: 2 });
      });
    }
  }

  for (const [ name, options, changeable ] of [
    [ 'encrypt: false', { encrypt: false }, false ],
    [ 'encrypt: false, signed: false', { encrypt: false, signed: false }, true ],
    [ 'encode and decode, encrypt: false', { ...custom, encrypt: false }, false ],
    [ 'encode and decode, encrypt: false, signed: false', { ...custom, encrypt: false, signed: false }, true ],
  ] as const) {
    it(`${name}: anybody can${changeable ? '' : 'not'} change the session`, async () => {
      const { app, client, run } = await start(options);
      const { events } = listen(app);
      await run(count);
      const record = JSON.stringify({ n: 99, _expire: Date.now() + DAY, _maxAge: DAY });
      client.cookies.set(NAME, 'encode' in options
        ? `mine.${Buffer.from(record).toString('hex')}`
        : Buffer.from(record).toString('base64'));
      assert.equal((await run(read)).json().n, changeable ? 99 : null);
      assert.deepEqual(events, changeable ? [] : [ 'invalid' ]);
    });
  }
});

describe('a session that is too large for a cookie', () => {
  afterEach(stop);

  const sizeOf = (line: string) => line.slice(0, line.indexOf(';')).length - 1;

  for (const key of [ NAME, '__Secure-a-long-name-for-a-cookie' ]) {
    it(`sealed, with the name ${key}: 4096 bytes of name and value are kept, one more is an error`, async () => {
      const { app, client, run } = await start({ key }, { config: { proxy: true } });
      const store = (length: number) => run(session => {
        session.text = 'x'.repeat(length);
      }, HTTPS);
      const empty = sizeOf((await store(0)).setCookies[0]);
      let length = Math.floor((4096 - empty) * 3 / 4) - 3;
      let response = await store(length);
      while (response.status === 200 && sizeOf(response.setCookies[0]) < 4096) response = await store(++length);
      assert.equal(sizeOf(response.setCookies[0]), 4096);
      assert.equal((await run(session => ({ length: session.text.length }), HTTPS)).json().length, length);

      const kept = client.cookies.get(key);
      app.mockLog();
      const refused = await store(length + 1);
      assert.equal(refused.status, 500);
      assert.deepEqual(refused.setCookies, []);
      app.expectLog(`the session is too large for a cookie: ${key} would take 4097 bytes, and browsers drop what is over 4096. ` +
        'Keep less in the session, or keep sessions in a store');
      app.notExpectLog('xxxx');
      assert.equal(client.cookies.get(key), kept);
      assert.equal((await run(session => ({ length: session.text.length }), HTTPS)).json().length, length);
    });
  }

  it('counts bytes, not characters', async () => {
    const { run } = await start();
    const response = await run(session => {
      session.text = 'ë'.repeat(2000);
    });
    assert.equal(response.status, 500);
    assert.match(response.text, /would take 5\d\d\d bytes/);
  });

  it('leaves the application\'s own cookies alone', async () => {
    const { run } = await start();
    const response = await run((session, ctx) => {
      session.text = 'x'.repeat(5000);
      ctx.cookies.set('mine', '1', { signed: false });
    }, { accept: 'application/json' });
    assert.equal(response.status, 500);
    assert.deepEqual(response.setCookies.map(line => line.split('=')[0]), [ 'mine' ]);
  });

  it('is an error for save() in the handler too', async () => {
    const { run } = await start();
    const response = await run(async session => {
      session.text = 'x'.repeat(5000);
      const { message } = await session.save().catch((err: Error) => err);
      session.text = 'x';
      return { message };
    });
    assert.match(response.json().message, /too large for a cookie/);
    assert.equal(response.setCookies.length, 1);
  });

  for (const [ name, options ] of [
    [ 'encode, encrypted by Egg', {}],
    [ 'encode, encrypt: false', { encrypt: false }],
    [ 'encode, encrypt: false, signed: false', { encrypt: false, signed: false }],
  ] as const) {
    // the lengths that encryption gives are 32 apart, and the length of the name makes up for that
    for (const key of [ NAME, 'EGG_SESS'.padEnd(20, '-'), 'EGG_SESS'.padEnd(21, '-') ]) {
      it(`${name}, with a name of ${key.length} bytes: the limit is at the bytes that the cookie really has`, async () => {
        const { run } = await start({
          key, ...options,
          encode: ({ times, letter }) => (letter as string).repeat(times as number),
          decode: () => ({}),
        });
        let seen = { kept: 0, refused: Infinity };
        for (const letter of 'encrypt' in options ? [ 'x' ] : [ 'x', 'ë' ]) {
          const bytes = Buffer.byteLength(letter);
          const [ from, to ] = 'encrypt' in options ? [ 4060, 4110 ] : [ 3030, 3100 ];
          for (let times = Math.floor(from / bytes); times * bytes < to; times++) {
            let real = 0;
            const response = await run((session, ctx) => {
              Object.assign(session, { times, letter });
              ctx.cookies.set('probe', letter.repeat(times), { encrypt: !('encrypt' in options), signed: false });
              real = key.length + sizeOf((ctx.response.get('set-cookie') as unknown as string[]).at(-1)!) - 'probe'.length;
              ctx.response.remove('set-cookie');
            });
            if (response.status === 200) {
              assert.equal(sizeOf(response.setCookies[0]), real);
              seen = { ...seen, kept: Math.max(seen.kept, real) };
            } else {
              assert.match(response.text, new RegExp(`would take ${real} bytes`));
              assert.deepEqual(response.setCookies, []);
              seen = { ...seen, refused: Math.min(seen.refused, real) };
            }
          }
        }
        const limits: Record<number, object> = {
          8: { kept: 4084, refused: 4104 }, 20: { kept: 4096, refused: 4116 }, 21: { kept: 4077, refused: 4097 },
        };
        assert.deepEqual(seen, 'encrypt' in options ? { kept: 4096, refused: 4097 } : limits[key.length]);
      });
    }
  }
});

describe('session ids', () => {
  afterEach(stop);

  const genid = (options: SessionOptions = {}) => resolveConfig(options).genid({ path: '/a' } as Context);

  it('have 144 random bits, in 24 characters of base64url', async () => {
    assert.match(genid(), /^[\w-]{24}$/);
    assert.equal(Buffer.from(genid(), 'base64url').length, 18);
    const store = new MapStore();
    const { run } = await start({ store });
    await run(count);
    assert.match([ ...store.records.keys() ].join(), /^[\w-]{24}$/);
  });

  it('differ, 10,000 of them, and every bit of them is on in half of them', () => {
    const ids = Array.from({ length: 10_000 }, () => genid());
    assert.equal(new Set(ids).size, 10_000);
    const on = Array(144).fill(0);
    for (const id of ids) {
      const bits = [ ...Buffer.from(id, 'base64url') ].map(byte => byte.toString(2).padStart(8, '0')).join('');
      for (const [ at, bit ] of [ ...bits ].entries()) on[at] += Number(bit);
    }
    // eight standard deviations
    assert.ok(Math.min(...on) > 4600 && Math.max(...on) < 5400, String(on));
  });

  it('are what genid makes, or begin with prefix', () => {
    assert.equal(genid({ genid: ctx => `for ${ctx.path}`, prefix: 'not used:' }), 'for /a');
    assert.match(genid({ prefix: 'web:' }), /^web:[\w-]{24}$/);
  });
});

describe('a cookie name with a prefix', () => {
  afterEach(stop);

  const PROXY = { config: { proxy: true } };

  for (const key of [ '__Host-sid', '__HOST-sid', '__host-sid', '__Secure-sid', '__sEcUrE-sid' ]) {
    it(`${key}: is secure and works over HTTPS, and over plain HTTP the error says so`, async () => {
      const { app, client, run } = await start({ key }, PROXY);
      app.mockLog();
      const http = await run(count);
      assert.equal(http.status, 500);
      assert.deepEqual(http.setCookies, []);
      app.expectLog(`the cookie ${key} is for HTTPS only, and this request came over plain HTTP. ` +
        'If a proxy in front speaks HTTPS, set config.proxy to true');
      const https = await run(count, HTTPS);
      assert.match(https.setCookies[0], new RegExp(`^${key}=[^;]+; path=/; max-age=86400; expires=[^;]+; samesite=lax; secure; httponly$`));
      assert.deepEqual((await run(count, HTTPS)).json(), { n: 2 });
      assert.equal((await run(read)).json().n, 2);
      assert.equal(client.cookies.size, 1);
    });
  }

  it('works with the id of a session in a store', async () => {
    const { run } = await start({ key: '__Host-sid', store: new MapStore() }, PROXY);
    assert.match((await run(count, HTTPS)).setCookies[0], /^__Host-sid=.*; secure; httponly$/);
    assert.deepEqual((await run(count, HTTPS)).json(), { n: 2 });
  });

  const message = (name: string, value: string, rule: string) => `[egg-tegg-session] config.session.${name} is ${value}; ${rule}`;
  const host = 'as config.session.key is \'__Host-sid\'';
  const secure = 'as config.session.key is \'__Secure-sid\'';
  const REFUSED: Array<[ session: SessionOptions & { key: string }, cookies: object, error: string ]> = [
    [{ key: '__Host-sid', secure: false }, {}, message('secure', 'false', `it must be true ${host}`) ],
    [{ key: '__Secure-sid', secure: false }, {}, message('secure', 'false', `it must be true ${secure}`) ],
    [{ key: '__Host-sid', domain: 'a.example' }, {},
      message('domain', '\'a.example\'', `it and config.cookies.domain must be left out ${host}`) ],
    [{ key: '__Host-sid' }, { domain: 'a.example' },
      message('domain', '\'a.example\'', `it and config.cookies.domain must be left out ${host}`) ],
    [{ key: '__Host-sid', path: '/app' }, {}, message('path', '\'/app\'', `it must be '/' ${host}`) ],
    [{ key: '__Host-sid' }, { path: '/app' }, message('path', '\'/app\'', `it must be '/' ${host}`) ],
  ];
  for (const [ session, cookies, error ] of REFUSED) {
    it(`is refused: config.session ${JSON.stringify(session)}, config.cookies ${JSON.stringify(cookies)}`, () => {
      assert.throws(() => resolveConfig(session, cookies), { name: 'TypeError', message: error });
      const key = session.key.toUpperCase();
      assert.throws(() => resolveConfig({ ...session, key }, cookies), { message: error.replace(session.key, key) });
    });
  }

  for (const [ session, cookies, error ] of [ REFUSED[2], REFUSED[5] ]) {
    it(`stops the application: config.session ${JSON.stringify(session)}, config.cookies ${JSON.stringify(cookies)}`, async () => {
      assert.equal(await bootError('web', session, { EGG_APP_CONFIG: JSON.stringify({ cookies }) }), error);
    });
  }

  it('allows __Host- what is no attribute, and __Secure- a domain and a path', () => {
    const allowed: Array<[ SessionOptions, object ]> = [
      [{ key: '__Host-sid', path: '/', domain: null, secure: true }, {}],
      [{ key: '__Host-sid', path: '/' }, { path: '/app' }],
      [{ key: '__Host-sid' }, { secure: false }],
      [{ key: '__Secure-sid', path: '/app', domain: 'a.example' }, { domain: 'b.example' }],
      [{ key: 'my__Host-sid', path: '/app', secure: false }, {}],
    ];
    for (const [ session, cookies ] of allowed) {
      const { secure } = resolveConfig(session, cookies);
      assert.equal(secure, session.key![0] === '_');
    }
  });

  it('refuses a domain that is a function', () => {
    assert.throws(() => resolveConfig({ key: '__HOST-sid', domain: () => 'a.example' }), /config\.session\.domain is \[Function/);
  });
});

describe('SameSite', () => {
  afterEach(stop);

  for (const [ session, cookies, expected ] of [
    [{}, {}, 'lax' ],
    [{}, { httpOnly: true }, 'lax' ],
    [{ store: new MapStore() }, {}, 'lax' ],
    [{ sameSite: 'strict' }, {}, 'strict' ],
    [{ sameSite: true }, {}, 'strict' ],
    [{ sameSite: false }, {}, undefined ],
    [{}, { sameSite: 'strict' }, 'strict' ],
    [{}, { sameSite: false }, undefined ],
    [{ sameSite: null }, { sameSite: 'strict' }, 'strict' ],
    [{ sameSite: 'lax' }, { sameSite: 'strict' }, 'lax' ],
  ] as Array<[ SessionOptions, object, string | undefined ]>) {
    it(`is ${expected ?? 'left out'} with config.session ${inspect(session, { depth: 0 })}, config.cookies ${inspect(cookies)}`, async () => {
      const { run } = await start(session, { config: { cookies } });
      assert.equal(/; samesite=(\w+)/.exec((await run(count)).setCookies[0])?.[1], expected);
    });
  }
});

for (const [ mode, given ] of MODES) {
  describe(`Cache-Control and Vary, with ${mode} in the cookie`, () => {
    afterEach(stop);

    const caching = ({ headers: { 'cache-control': control, vary } }: Awaited<ReturnType<Client['request']>>) =>
      ({ control, vary });
    const NOT_CACHED = { control: 'private', vary: 'Cookie' };
    const UNTOUCHED = { control: undefined, vary: undefined };

    it('keep a response that sets the cookie out of shared caches', async () => {
      const { run } = await start(given());
      assert.deepEqual(caching(await run(count)), NOT_CACHED);
      assert.deepEqual(caching(await run(count)), NOT_CACHED);
    });

    it('are left alone in a response that does not', async () => {
      const { client, run } = await start(given());
      assert.deepEqual(caching(await run(read)), UNTOUCHED);
      await run(count);
      assert.deepEqual(caching(await run(read)), UNTOUCHED);
      assert.deepEqual(caching(await client.request('/no-such-page')), UNTOUCHED);
      const own = await run((_, ctx) => ctx.cookies.set('mine', '1') && { ok: true });
      assert.equal(own.setCookies.length, 2);
      assert.deepEqual(caching(own), UNTOUCHED);
    });

    it('keep a response that removes the cookie out of shared caches', async () => {
      const { run } = await start(given());
      await run(count);
      const response = await run(session => session.destroy());
      assert.match(response.setCookies[0], /^EGG_SESS=;/);
      assert.deepEqual(caching(response), NOT_CACHED);
    });

    it('keep a response out of shared caches when the handler saved the session itself', async () => {
      const { run } = await start({ ...given(), autoCommit: false });
      assert.deepEqual(caching(await run(count)), UNTOUCHED);
      assert.deepEqual(caching(await run(async session => {
        session.n = 1;
        await session.manuallyCommit();
      })), NOT_CACHED);
    });

    it('keep an error that sets the cookie out of shared caches', async () => {
      const { run } = await start(given());
      const response = await run(session => {
        session.n = 1;
        throw new Error('after the session was changed');
      }, { accept: 'application/json' });
      assert.equal(response.status, 500);
      assert.equal(response.setCookies.length, 1);
      assert.deepEqual(caching(response), NOT_CACHED);
    });

    for (const [ control, vary, expected ] of [
      [ 'no-store', undefined, { control: 'no-store', vary: 'Cookie' }],
      [ 'public, max-age=60', undefined, { control: 'public, max-age=60', vary: 'Cookie' }],
      [ undefined, 'Accept-Encoding', { control: 'private', vary: 'Accept-Encoding, Cookie' }],
      [ undefined, 'cookie, Accept', { control: 'private', vary: 'cookie, Accept' }],
      [ undefined, '*', { control: 'private', vary: '*' }],
      [ 'no-cache', 'Origin', { control: 'no-cache', vary: 'Origin, Cookie' }],
    ] as const) {
      it(`keep what the application has set: ${control}, ${vary}`, async () => {
        const { run } = await start(given());
        assert.deepEqual(caching(await run((session, ctx) => {
          session.n = 1;
          if (control) ctx.set('cache-control', control);
          if (vary) ctx.set('vary', vary);
        })), expected);
      });
    }
  });
}
