import { strict as assert } from 'node:assert';
import type { Context } from 'egg';
import mm, { type MockApplication } from 'egg-mock';
import { SessionStore, type SessionOptions, type SessionRecord } from '../..';
import { resolveConfig } from '../../module/options/SessionConfig';
import { bootError } from '../support/boot';
import { type AppOptions, Client, createApp, later } from '../support/app';
import { MapStore } from '../support/MapStore';

const HTTPS = { 'x-forwarded-proto': 'https' };

describe('config.session', () => {
  let app: MockApplication;
  let client: Client;
  afterEach(async () => {
    mm.restore();
    await client?.close();
    await app?.close();
  });

  /** Starts the application with these options. */
  async function start(session: SessionOptions, options?: AppOptions) {
    app = await createApp('web', { ...options, session });
    client = await Client.of(app);
  }

  const count = (browser = client, headers?: Record<string, string>) => browser.run(session => {
    session.n = (session.n ?? 0) + 1;
    return { n: session.n };
  }, headers);

  it('key: names the cookie', async () => {
    await start({ key: 'my.sid' });
    const response = await count();
    assert.match(response.setCookies[0], /^my\.sid=/);
    assert.equal((await count()).json().n, 2);
  });

  describe('maxAge', () => {
    it('sets the cookie\'s lifetime', async () => {
      await start({ maxAge: 5000 });
      assert.match((await count()).setCookies[0], /; max-age=5; expires=/);
    });

    it('ends the session when it is over', async () => {
      await start({ maxAge: 5000 });
      await count();
      assert.equal((await count()).json().n, 2);
      later(6000);
      assert.equal((await count()).json().n, 1);
    });

    it('null means one day', async () => {
      await start({ maxAge: null });
      assert.equal((await count()).json().n, 1);
      assert.equal((await count()).json().n, 2);
    });

    it('\'session\' sets a cookie without a lifetime, also when the session is saved twice in a request', async () => {
      await start({ maxAge: 'session' });
      for (let i = 0; i < 2; i++) {
        const response = await client.run(async session => {
          session.n = (session.n ?? 0) + 1;
          await session.save();
          session.n++;
          return { maxAge: session.maxAge ?? null };
        });
        assert.doesNotMatch(response.setCookies.join(), /max-age|expires/i);
      }
      assert.deepEqual((await client.run(session => ({ n: session.n, maxAge: session.maxAge }))).json(),
        { n: 4, maxAge: 'session' });
    });
  });

  it('autoCommit: false saves nothing until manuallyCommit()', async () => {
    await start({ autoCommit: false });
    assert.deepEqual((await count()).setCookies, []);
    const response = await client.run(async session => {
      session.n = 5;
      await session.manuallyCommit();
    });
    assert.equal(response.setCookies.length, 1);
    assert.equal((await count()).json().n, 6);
    assert.equal((await count()).json().n, 6);
  });

  for (const overwrite of [ true, false ]) {
    it(`overwrite: ${overwrite} ${overwrite ? 'replaces' : 'keeps'} a cookie of the same name`, async () => {
      await start({ overwrite });
      const response = await client.run((session, ctx) => {
        session.n = 1;
        ctx.cookies.set('EGG_SESS', 'the application\'s', { signed: false });
      });
      assert.equal(response.setCookies.filter(line => line.startsWith('EGG_SESS=')).length, overwrite ? 1 : 2);
    });
  }

  for (const httpOnly of [ true, false ]) {
    it(`httpOnly: ${httpOnly}`, async () => {
      await start({ httpOnly });
      assert.equal(/; httponly/.test((await count()).setCookies[0]), httpOnly);
    });
  }

  for (const signed of [ true, false ]) {
    it(`signed: ${signed}, not encrypted`, async () => {
      await start({ signed, encrypt: false });
      assert.equal((await count()).setCookies.some(line => line.startsWith('EGG_SESS.sig=')), signed);
      assert.equal((await count()).json().n, 2);
      client.cookies.delete('EGG_SESS.sig');
      assert.equal((await count()).json().n, signed ? 1 : 3);
    });
  }

  for (const rolling of [ true, false ]) {
    it(`rolling: ${rolling} ${rolling ? 'sets the cookie on every response' : 'sets it when the session changed'}`, async () => {
      await start({ rolling });
      await count();
      const response = await client.run(session => ({ n: session.n }));
      assert.equal(response.setCookies.length, rolling ? 1 : 0);
    });
  }

  it('renew: sets the cookie again when less than half of maxAge is left', async () => {
    await start({ renew: true, maxAge: 10_000 });
    const read = () => client.run(session => ({ n: session.n }));
    later(0);
    await count();
    assert.equal((await read()).setCookies.length, 0);
    later(6000);
    assert.equal((await read()).setCookies.length, 1);
    later(6000);
    assert.equal((await read()).json().n, 1);
  });

  describe('secure', () => {
    it('true: needs HTTPS, and says so', async () => {
      await start({ secure: true }, { config: { proxy: true } });
      await assert.rejects(count(), /500 .*for HTTPS only/);
      assert.match((await count(client, HTTPS)).setCookies[0], /; secure/);
    });

    it('that the session can\'t be saved over plain HTTP names the option, and the way out', async () => {
      for (const [ session, option, use ] of [
        [{ secure: true }, 'config.session.secure' ], [{ key: '__Host-sid' }, 'config.session.key' ], [{ key: '__secure-sid', secure: true }, 'config.session.key' ],
        [{}, 'ctx.sessionOptions.secure', (ctx: Context) => Object.assign(ctx.sessionOptions, { secure: true }) ],
      ] as Array<[ SessionOptions, string, ((ctx: Context) => unknown)? ]>) {
        await app?.close();
        await start(session);
        const { status, text } = await client.tryRun((data, ctx) => {
          use?.(ctx);
          data.n = 1;
        }, { accept: 'application/json' });
        assert.equal(status, 500);
        assert.equal(JSON.parse(text).message, `[egg-tegg-session] the cookie ${session.key ?? 'EGG_SESS'} is for HTTPS only, by ${option}, and this request ` +
          'came over plain HTTP. In development, set that option in config.prod only; if a proxy in front speaks HTTPS, set config.proxy to true');
      }
    });

    it('left out: follows the request', async () => {
      await start({}, { config: { proxy: true } });
      assert.doesNotMatch((await count()).setCookies[0], /; secure/);
      assert.match((await count(client, HTTPS)).setCookies[0], /; secure/);
    });
  });

  for (const [ sameSite, expected ] of [[ 'lax', /; samesite=lax/ ], [ 'Strict', /; samesite=strict/ ],
    [ true, /; samesite=strict/ ]] as const) {
    it(`sameSite: ${sameSite}`, async () => {
      await start({ sameSite });
      assert.match((await count()).setCookies[0], expected);
    });
  }

  it('sameSite: false sends no attribute, whatever config.cookies says', async () => {
    await start({ sameSite: false }, { config: { cookies: { sameSite: 'strict' } } });
    assert.doesNotMatch((await count()).setCookies[0], /samesite/);
  });

  it('sameSite: null leaves it to config.cookies', async () => {
    await start({ sameSite: null }, { config: { cookies: { sameSite: 'strict' } } });
    assert.match((await count()).setCookies[0], /; samesite=strict/);
  });

  it('externalKey: takes the id from elsewhere', async () => {
    const store = new MapStore();
    await start({
      store,
      externalKey: {
        get: ctx => ctx.get('x-session') || undefined,
        set: (ctx, key) => ctx.set('x-session', key),
      },
    });
    const response = await count();
    const id = response.headers['x-session'] as string;
    assert.deepEqual(response.setCookies, []);
    assert.deepEqual([ ...store.records.keys() ], [ id ]);
    assert.equal((await count(client, { 'x-session': id })).json().n, 2);
    assert.equal((await count()).json().n, 1);
  });

  it('store: keeps the sessions', async () => {
    const store = new MapStore();
    await start({ store });
    await count();
    assert.deepEqual([ ...store.records.values() ].map(({ n }) => n), [ 1 ]);
    assert.equal((await count()).json().n, 2);
  });

  it('ContextStore: is built for every request, and goes before store', async () => {
    const records = new Map<string, SessionRecord>();
    const store = new MapStore();
    const paths: string[] = [];
    class ContextStore extends SessionStore {
      constructor(ctx: Context) {
        super();
        paths.push(ctx.path);
      }
      async get(key: string) {
        return records.get(key);
      }
      async set(key: string, record: SessionRecord) {
        records.set(key, record);
      }
      async destroy(key: string) {
        records.delete(key);
      }
    }
    await start({ store, ContextStore });
    await count();
    assert.equal((await count()).json().n, 2);
    assert.equal(records.size, 1);
    assert.equal(store.records.size, 0);
    assert.deepEqual(paths, [ '/run', '/run' ]);
  });

  it('encode and decode: write and read the cookie', async () => {
    await start({
      encrypt: false,
      signed: false,
      encode: record => `n.${record.n}`,
      decode: text => ({ n: Number(text.slice(2)) }),
    });
    assert.match((await count()).setCookies[0], /^EGG_SESS=n\.1;/);
    assert.equal((await count()).json().n, 2);
  });

  it('genid: makes the ids', async () => {
    const store = new MapStore();
    let last = 0;
    await start({ store, prefix: 'not used', genid: ctx => `${ctx.path}-${++last}` });
    await count();
    await count(client.another());
    assert.deepEqual([ ...store.records.keys() ], [ '/run-1', '/run-2' ]);
  });

  it('prefix: goes before the ids', async () => {
    const store = new MapStore();
    await start({ store, prefix: 'shop:' });
    await count();
    assert.match([ ...store.records.keys() ][0], /^shop:.{20,}$/);
  });

  it('valid: decides whether a session may be used', async () => {
    await start({ valid: (_, record) => record.n !== 2 });
    assert.equal((await count()).json().n, 1);
    assert.equal((await count()).json().n, 2);
    assert.equal((await count()).json().n, 1);
  });

  it('beforeSave: may change the session before it is saved', async () => {
    await start({ beforeSave: (_, session) => Object.assign(session, { saved: true }) });
    await count();
    assert.deepEqual((await client.run(session => ({ session }))).json(), { session: { n: 1, saved: true } });
  });

  it('beforeSave: is called once for a session in the cookie, also when it throws', async () => {
    let calls = 0;
    let refuses = false;
    await start({ beforeSave: () => {
      calls++;
      if (refuses) throw new Error('beforeSave says no');
    } });
    await count();
    assert.equal(calls, 1);
    refuses = true;
    const { status, setCookies } = await client.tryRun(session => {
      session.n = 2;
    });
    assert.deepEqual([ status, setCookies, calls ], [ 500, [], 2 ]);
  });

  it('domain, path and priority are the cookie\'s', async () => {
    await start({ domain: 'example.com', path: '/run', priority: 'high' });
    assert.match((await count()).setCookies[0], /; path=\/run; .*; domain=example\.com; priority=high;/);
  });

  it('domain may be a function', async () => {
    await start({ domain: () => 'example.org' });
    assert.match((await count()).setCookies[0], /; domain=example\.org/);
  });

  it('partitioned: keeps the cookie apart for each embedding site', async () => {
    await start({ partitioned: true, sameSite: 'none', secure: true }, { config: { proxy: true } });
    const chrome = { 'user-agent': 'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/120.0.0.0 Safari/537.36' };
    assert.match((await count(client, { ...HTTPS, ...chrome })).setCookies[0], /; samesite=none; secure; httponly; partitioned/);
  });

  it('null is the same as leaving an option out, for every option', async () => {
    const names = Object.keys(resolveConfig({})).concat('maxAge', 'overwrite', 'signed', 'encrypt', 'rolling', 'renew', 'secure',
      'sameSite', 'domain', 'path', 'partitioned', 'removeUnpartitioned', 'priority', 'externalKey', 'store',
      'ContextStore', 'encode', 'decode', 'genid', 'prefix', 'valid', 'beforeSave', 'enable', 'match', 'ignore',
      'absoluteMaxAge', 'principal', 'maxSessions', 'acceptedRisks');
    await start(Object.fromEntries(names.map(name => [ name, null ])));
    assert.equal((await count()).json().n, 1);
    assert.equal((await count()).json().n, 2);
  });

  describe('a wrong value stops the application and names the option', () => {
    const WRONG: Record<string, unknown[]> = {
      key: [ '', 'a b', 'a;b', 5 ],
      maxAge: [ '86400000', -1, NaN, true ],
      autoCommit: [ 'yes' ],
      overwrite: [ 1 ],
      httpOnly: [ 'true' ],
      signed: [ 0 ],
      encrypt: [ 'aes' ],
      rolling: [ 1 ],
      renew: [ 'half' ],
      absoluteMaxAge: [ '3600000', 0, 0.4, -1, NaN, Infinity, 'session', true, 1e300, 5n ],
      principal: [ '', 5, true, {}, '_id', 'isNew', 'maxAge', '__proto__', [ 'userId' ], async () => 7 ],
      maxSessions: [ 0, -1, 1.5, NaN, Infinity, '3', true ],
      acceptedRisks: [ 'keys', true, {}, [ 'key' ], [ 'keys', 'Secure' ], [ null ]],
      secure: [ 'auto' ],
      sameSite: [ 'loose', 1 ],
      domain: [ 5, 'http://x.com/', 'x.com/', 'localhost:7001', '*.x.com', 'x.com.', 'x..com', 'a b', '.', async () => 'x.com' ],
      path: [ 'relative' ],
      partitioned: [ 'yes' ],
      removeUnpartitioned: [ 1 ],
      priority: [ 'urgent' ],
      externalKey: [{}, { get() { return ''; } }, { async get() { return ''; }, set() { return ''; } }, { get() { return ''; }, async set() { return ''; } }],
      store: [{}, { get() { return null; }, set() { return null; } }, 'redis' ],
      ContextStore: [{}, class {} ],
      encode: [ 'base64', async () => '' ],
      decode: [ 'base64', async () => ({}) ],
      genid: [ 'uuid', async () => 'id', function* () { yield 'id'; } ],
      prefix: [ 5 ],
      valid: [ true, async () => true ],
      beforeSave: [{}, async () => undefined ],
      load: [ 'lazy', 'Injected', '', true, 1, [ 'injected' ]],
      logValue: [ 'no' ],
      enable: [ 'yes' ],
      match: [ 5, true, {}, [ '/a', 5 ], async () => true ],
      ignore: [ 5, true, {}, [ null ], [ async () => true ]],
    };
    for (const [ name, values ] of Object.entries(WRONG)) {
      it(name, () => {
        for (const value of values) {
          assert.throws(() => resolveConfig({ [name]: value }), {
            name: 'TypeError',
            message: new RegExp(`^\\[egg-tegg-session\\] config\\.session\\.${name} is .*; it must be .+, or be left out$`),
          });
        }
      });
    }

    it('what is allowed is said', () => {
      const message = (options: object) => {
        try {
          return resolveConfig(options) && 'nothing';
        } catch (err) {
          return (err as Error).message.replace('[egg-tegg-session] config.session.', '');
        }
      };
      assert.deepEqual([{ absoluteMaxAge: '8h' }, { principal: 5 }, { principal: 'a', maxSessions: 0 }, { maxSessions: 3 }].map(message), [
        'absoluteMaxAge is \'8h\'; it must be a number of milliseconds, above 0 and up to 100 years, or be left out',
        'principal is 5; it must be the name of a field of the session, or a function of its data that is not async, or be left out',
        'maxSessions is 0; it must be a whole number above 0, or be left out',
        'maxSessions is 3; it needs config.session.principal, which names the user of a session',
      ]);
      assert.match(message({ acceptedRisks: [ 'key' ] }),
        /^acceptedRisks is \[ 'key' \]; it must be a list of httpOnly, secure, keys, .*sharedKey, deviceRequired, or be left out$/);
    });

    it('encode without decode, or the other way round', () => {
      const [ encode, decode ] = [ JSON.stringify, JSON.parse ];
      for (const [ options, one, other ] of [[{ encode }, 'encode', 'decode' ], [{ decode, encode: null }, 'decode', 'encode' ]] as const) {
        assert.throws(() => resolveConfig(options as SessionOptions), {
          name: 'TypeError',
          message: new RegExp(`^\\[egg-tegg-session\\] config\\.session\\.${one} is \\[Function.*\\]; it needs config\\.session\\.${other}, as nothing else ` +
            'understands its text: set both, or neither$'),
        });
      }
      resolveConfig({ encode, decode });
    });

    it('match beside ignore', () => {
      assert.throws(() => resolveConfig({ match: '/a', ignore: [ '/a/b' ] }), {
        name: 'TypeError',
        message: '[egg-tegg-session] config.session.match is \'/a\'; it can\'t be combined with config.session.ignore: remove one, or decide in a function',
      });
      resolveConfig({ match: '/a', ignore: null });
    });

    it('config.session itself', async () => {
      for (const value of [ null, undefined, true, 'x', 5, [], () => ({}) ]) {
        assert.throws(() => resolveConfig(value as never), {
          name: 'TypeError', message: /^\[egg-tegg-session\] config\.session is .*; it must be an object with options, or be left out$/,
        });
      }
      assert.match((await bootError('web', null as never))!, /^\[egg-tegg-session\] config\.session is null; it must be an object/);
    });

    it('what is right is taken', () => {
      for (const domain of [ 'example.com', '.example.com', 'Example.COM', 'localhost', '127.0.0.1', 'xn--bcher-kva.example', '', () => 'x.com' ]) resolveConfig({ domain });
      const options = { absoluteMaxAge: 1, principal: 'userId', maxSessions: 1, acceptedRisks: [ 'keys', 'sharedKey' ] as const };
      const { absoluteMaxAge, principal, maxSessions, acceptedRisks } = resolveConfig(options);
      assert.deepEqual({ absoluteMaxAge, principal, maxSessions, acceptedRisks }, options);
      assert.equal(typeof resolveConfig({ principal: () => 5 }).principal, 'function');
      assert.deepEqual(resolveConfig({ acceptedRisks: [] }).acceptedRisks, []);
    });

    it('when it boots', async () => {
      const [ none, maxAge, store, absoluteMaxAge, load ] = await Promise.all([
        bootError('web'), bootError('web', { maxAge: '1d' as never }), bootError('web', { store: {} as never }),
        bootError('web', { absoluteMaxAge: '8h' as never }), bootError('web', { load: 'lazy' as never }),
      ]);
      assert.equal(none, undefined);
      assert.match(maxAge!, /config\.session\.maxAge is '1d'; it must be a number/);
      assert.match(store!, /config\.session\.store is \{\}; it must be an object with/);
      assert.match(absoluteMaxAge!, /config\.session\.absoluteMaxAge is '8h'; it must be a number/);
      assert.equal(load, '[egg-tegg-session] config.session.load is \'lazy\'; it must be \'always\' or \'injected\', or be left out');
    });
  });
});
