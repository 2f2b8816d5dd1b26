import { strict as assert } from 'node:assert';
import type { Context } from 'egg';
import type { SessionOptions } from '../..';
import { resolveConfig } from '../../module/options/SessionConfig';
import type { CookieJar } from '../support/CookieJar';
import { MapStore } from '../support/MapStore';
import { count, EMPTY, HTTPS, NAME, read, start, stop } from '../support/web';

const reject = async () => {
  throw new Error('too late');
};

describe('the functions in config.session', () => {
  const left: unknown[] = [];
  const note = (err: unknown) => left.push(err);
  before(() => process.on('unhandledRejection', note));
  afterEach(async () => {
    await stop();
    await new Promise(setImmediate);
    assert.deepEqual(left.splice(0), []);
  });
  after(() => process.off('unhandledRejection', note));

  const IN_COOKIE = () => ({});
  const IN_STORE = () => ({ store: new MapStore() });
  const json = { encode: JSON.stringify, decode: JSON.parse };

  /** A session that was saved before a function was wrong. */
  interface Saved {
    options: SessionOptions;
    cookies: CookieJar;
  }
  const saved = {} as Record<'cookie' | 'encoded' | 'store', Saved>;
  before(async () => {
    for (const [ kind, options ] of [[ 'cookie', {}], [ 'encoded', json ], [ 'store', IN_STORE() ]] as const) {
      const { client, run } = await start(options);
      await run(count);
      saved[kind] = { options, cookies: client.cookies };
    }
    await stop();
  });

  const ASYNC: Array<[ name: string, kind: keyof typeof saved, make: (f: () => unknown) => object ]> = [
    [ 'encode', 'encoded', encode => ({ encode }) ],
    [ 'decode', 'encoded', decode => ({ decode }) ],
    [ 'genid', 'store', genid => ({ genid }) ],
    [ 'valid', 'cookie', valid => ({ valid }) ],
    [ 'valid', 'store', valid => ({ valid }) ],
    [ 'beforeSave', 'cookie', beforeSave => ({ beforeSave }) ],
    [ 'beforeSave', 'store', beforeSave => ({ beforeSave }) ],
    [ 'principal', 'store', principal => ({ principal }) ],
    [ 'domain', 'cookie', domain => ({ domain }) ],
    [ 'domain', 'store', domain => ({ domain }) ],
  ];
  for (const [ name, kind, make ] of ASYNC) {
    for (const [ what, result ] of [
      [ 'returns a promise', () => Promise.resolve('a') ], [ 'returns a promise that rejects', () => reject() ],
      [ 'returns a promise of a library', () => ({ then: (resolve: (value: string) => void) => setImmediate(resolve, 'a') }) ],
    ] as const) {
      it(`${name} ${what}: the request fails, with a TypeError that says so, and loses nothing (${kind})`, async () => {
        const { options, cookies } = saved[kind];
        const value = cookies.get(NAME);
        const records = () => (options.store instanceof MapStore ? [ ...options.store.records.values() ] : []);
        const before = records();
        const { client } = await start({ ...options, ...make(result) } as SessionOptions);
        const browser = client.another(name === 'genid' ? undefined : cookies);
        const { status, text, setCookies } = await browser.tryRun(count);
        assert.equal(status, 500);
        assert.match(text, new RegExp(`TypeError: \\[egg-tegg-session\\] config\\.session\\.${name} returned a promise; it must not be async`));
        assert.deepEqual([ setCookies, cookies.get(NAME), records() ], [[], value, before ]);
      });
    }
  }

  for (const [ name, given, make, rule ] of [
    [ 'encode', IN_COOKIE, (encode: unknown) => ({ decode: JSON.parse, encode }), 'it must return a string that is not empty' ],
    [ 'genid', IN_STORE, (genid: unknown) => ({ genid }), 'it must return a string that is not empty' ],
    [ 'domain', IN_COOKIE, (domain: unknown) => ({ domain }), 'it must return a domain of letters, digits, - and ., without scheme, port and path, or nothing for this host only' ],
  ] as const) {
    for (const [ what, value ] of [
      ...name === 'domain' ? [[ 'a string', 'https://secret' ], [ 'a string', 'secret:80' ]] as const : [], [ 'an array', [ 'secret' ]], [ 'a number', 7 ], [ 'an object', { id: 'secret' }], [ 'an object', Buffer.from('secret') ],
      [ 'a function', () => 'secret' ], [ 'true', true ], ...name === 'domain' ? [] : [[ '\'\'', '' ], [ 'undefined', undefined ], [ 'null', null ]] as const,
    ] as const) {
      it(`${name} that returns ${what}: a TypeError that names it, without the value`, async () => {
        const { client } = await start({ ...given(), ...make(() => value) } as SessionOptions);
        for (const handle of [ count, (session: any) => session.save(), (session: any) => session.regenerate() ]) {
          const { status, text, setCookies } = await client.tryRun(handle);
          assert.equal(status, 500);
          assert.match(text, new RegExp(`TypeError: \\[egg-tegg-session\\] config\\.session\\.${name} returned ${what}; ${rule}`));
          assert.doesNotMatch(text, /secret/);
          assert.deepEqual(setCookies, []);
        }
      });
    }
  }

  it('domain may return nothing', async () => {
    for (const value of [ undefined, null, '' ]) {
      const { run } = await start({ domain: () => value as never });
      assert.doesNotMatch((await run(count)).setCookies[0], /domain/);
      assert.deepEqual((await run(count)).json(), { n: 2 });
    }
  });

  for (const value of [[], 7, 'text', true, null, undefined ]) {
    it(`decode that returns ${JSON.stringify(value)} says that the cookie is none of ours`, async () => {
      const { client, run } = await start({ encode: JSON.stringify, decode: () => value as never });
      await run(count);
      const cookie = client.cookies.get(NAME);
      const response = await run(read);
      assert.deepEqual([ response.json(), response.setCookies ], [ EMPTY, []]);
      assert.equal(client.cookies.get(NAME), cookie);
    });
  }

  it('encode that returns what a cookie can\'t hold: an error, and no half of it is set', async () => {
    for (const text of [ 'a;b', ' a', 'a\t', ';' ]) {
      const { client } = await start({ encrypt: false, encode: () => text, decode: JSON.parse });
      const { status, text: body, setCookies } = await client.tryRun(count);
      assert.equal(status, 500);
      assert.match(body, /config\.session\.encode returned a string with a semicolon, or a blank at an end/);
      assert.deepEqual(setCookies, []);
    }
  });

  it('ctx.sessionOptions.domain is held to the same', async () => {
    const { client } = await start({}, { config: { proxy: true } });
    const { status, text } = await client.tryRun((session, ctx: Context) => {
      ctx.sessionOptions.domain = () => 7;
      session.n = 1;
    }, HTTPS);
    assert.equal(status, 500);
    assert.match(text, /config\.session\.domain returned a number; it must return a domain/);
  });

  for (const name of [ 'match', 'ignore' ] as const) {
    it(`${name} that is async stops the application: each path would fit`, () => {
      for (const value of [ async () => false, [ '/a', async () => false ]]) {
        assert.throws(() => resolveConfig({ [name]: value as never }), new RegExp(`config\\.session\\.${name} is .*it must be a path, a RegExp or a function that is not async`));
      }
      for (const value of [ '/a', /a/, () => true, [ '/a', /a/, () => true ]]) resolveConfig({ [name]: value as never });
    });
  }
});
