import { strict as assert } from 'node:assert';
import { randomBytes } from 'node:crypto';
import type { Application } from 'egg';
import mm, { type MockApplication } from 'egg-mock';
import { type SessionOptions, MemorySessionStore } from '../..';
import { RISKS } from '../../module/options/Risk';
import { type AppOptions, createApp } from '../support/app';
import { MapStore } from '../support/MapStore';

class TestMemoryStore extends MemorySessionStore {}

const hex = () => randomBytes(32).toString('hex');

interface Given {
  session?: SessionOptions;
  keys?: string | null;
  config?: Record<string, unknown>;
  env?: string;
  options?: Record<string, unknown>;
  /** Whether it goes on until the test ends. */
  stays?: boolean;
}

/** Nothing here is risky. */
const SAFE: SessionOptions = { key: '__Host-sid', rolling: true, maxAge: 1_800_000, absoluteMaxAge: 28_800_000 };

describe('the review at boot', () => {
  const apps: MockApplication[] = [];
  const stores: TestMemoryStore[] = [];
  afterEach(async () => {
    mm.restore();
    for (const app of apps.splice(0)) await app.close();
    for (const store of stores.splice(0)) await store.close();
  });

  /** What it says about an application that differs from a safe one by what is given. */
  async function review({ session, keys = hex(), config, env = 'prod', options, stays }: Given = {}): Promise<string[]> {
    let booting!: Application;
    const app = await createApp('two', {
      session: { ...SAFE, ...session },
      config: { keys, ...config },
      boot(each) {
        booting = each;
        (each as MockApplication).mockLog();
        Object.assign(each.config, { env });
        Object.assign((each as unknown as { options: object }).options, options);
      },
    } as AppOptions);
    if (stays) apps.push(app);
    else await app.close();
    return (booting.logger as unknown as { _mockLogs: string[] })._mockLogs
      .map(line => line.trim()).filter(line => / WARN .*\[egg-tegg-session\]/.test(line));
  }

  const memory = () => {
    const store = new TestMemoryStore();
    stores.push(store);
    return store;
  };

  const RISKY: Array<[ risk: typeof RISKS[number], given: () => Given, line: RegExp ]> = [
    [ 'httpOnly', () => ({ session: { httpOnly: false } }), /please set `config\.session\.httpOnly` to true\./ ],
    [ 'secure', () => ({ session: { key: 'sid', secure: false } }), /secure is off: .* Set config\.session\.secure to true\./ ],
    [ 'secure', () => ({ session: { key: 'sid', secure: null } }), /no Secure, as config\.proxy is off\. Set config\.proxy to true, or config\.session\.secure\./ ],
    [ 'keys', () => ({ keys: 'short' }), /a key in config\.keys can be guessed: .*`node -p "crypto\.randomBytes\(32\)\.toString\('hex'\)"`/ ],
    [ 'memoryStore', () => ({ session: { store: memory() } }), /MemorySessionStore is for development and tests: .* Use RedisSessionStore/ ],
    [ 'idleTimeout', () => ({ session: { rolling: false } }), /no idle timeout: .* Set config\.session\.rolling to true/ ],
    [ 'absoluteTimeout', () => ({ session: { absoluteMaxAge: null } }), /a session that is used never ends\. Set config\.session\.absoluteMaxAge/ ],
    [ 'encrypt', () => ({ session: { encrypt: false } }), /encrypt is off: .* Remove config\.session\.encrypt\./ ],
    [ 'signed', () => ({ session: { encrypt: false, signed: false, acceptedRisks: [ 'encrypt' ] } }), /signed is off: .* Remove config\.session\.signed\./ ],
    [ 'acceptLegacyCookie', () => ({ session: { acceptLegacyCookie: true } }), /acceptLegacyCookie is on: .* Remove it once maxAge has passed/ ],
    [ 'sharedKey', () => ({ session: { key: 'EGG_SESS', secure: true } }), /any other Egg application on this host writes the cookie EGG_SESS too, .* Set config\.session\.key to a name of its own/ ],
  ];

  it('has nothing to say of a safe application', async () => {
    for (const session of [{}, { key: 'sid', secure: true }, { rolling: false, renew: true }, { store: new MapStore() }, { signed: false }]) {
      assert.deepEqual(await review({ session }), []);
    }
  });

  it('has nothing to say of one that is behind a proxy, or speaks HTTPS itself', async () => {
    assert.deepEqual(await review({ session: { key: 'sid' }, config: { proxy: true } }), []);
    assert.deepEqual(await review({ session: { key: 'sid' }, options: { https: { key: 'a', cert: 'b' } } }), []);
  });

  for (const [ risk, given, expected ] of RISKY) {
    it(`${risk}: one line with the fix, which acceptedRisks silences, and no other risk does`, async () => {
      const { session = {}, ...more } = given();
      const accepted = session.acceptedRisks ?? [];
      const lines = await review({ session, ...more });
      assert.equal(lines.length, 1, lines.join('\n'));
      assert.match(lines[0], expected);
      assert.ok(lines[0].endsWith(`. If it is meant, add '${risk}' to config.session.acceptedRisks`), lines[0]);
      assert.deepEqual(await review({ session: { ...session, acceptedRisks: [ ...accepted, risk ] }, ...more }), []);
      const others = RISKS.filter(each => each !== risk);
      assert.deepEqual((await review({ session: { ...session, acceptedRisks: others }, ...more })).length, 1);
    });
  }

  it('says of a session without any timeout that it goes on when it changes, as reading does not keep it', async () => {
    const lines = await review({ session: { rolling: false, absoluteMaxAge: null } });
    assert.match(lines[0], /no idle timeout: maxAge counts from the last change/);
    assert.match(lines[1], /no absolute timeout: a session that changes never ends/);
  });

  for (const [ sameSite, cookies ] of [[ 'none', {}], [ 'None', {}], [ null, { sameSite: 'none' }]] as const) {
    it(`says that SameSite=None is lost over plain HTTP, with sameSite: ${sameSite} and config.cookies ${JSON.stringify(cookies)}`, async () => {
      const session = { key: 'sid', sameSite };
      const [ off ] = await review({ session: { ...session, secure: false }, config: { cookies } });
      assert.match(off, /secure is off: .*, and has no SameSite=None, so that browsers do not send it from other sites\. Set config\.session\.secure to true/);
      const [ unset ] = await review({ session, config: { cookies } });
      assert.match(unset, /no Secure and no SameSite=None, so that browsers do not send it from other sites, as config\.proxy is off\. Set config\.proxy to true/);
      assert.deepEqual(await review({ session, config: { cookies, proxy: true } }), []);
      assert.deepEqual(await review({ session: { ...session, secure: true }, config: { cookies } }), []);
    });
  }

  it('tells of each risk in a line of its own', async () => {
    const lines = await review({
      session: {
        key: 'EGG_SESS', httpOnly: false, secure: false, store: memory(), rolling: false, absoluteMaxAge: null, encrypt: false,
        signed: false, acceptLegacyCookie: true,
      }, keys: 'short',
    });
    // that of deviceBound can't be had beside these
    assert.deepEqual(lines.map(line => /add '(\w+)'/.exec(line)![1]), RISKS.filter(risk => risk !== 'deviceRequired'));
  });

  describe('of options without effect', () => {
    const genid = () => 'an-id';
    const json = { encode: JSON.stringify, decode: JSON.parse };
    const IDLE: Array<[ name: string, session: () => SessionOptions, reason: RegExp, effective: () => SessionOptions ]> = [
      [ 'partitioned', () => ({ partitioned: true }), /SameSite=None only\. Set config\.session\.sameSite to 'none'/,
        () => ({ partitioned: true, sameSite: 'none' }) ],
      [ 'removeUnpartitioned', () => ({ removeUnpartitioned: true }), /needs config\.session\.partitioned\. Set that too, or remove this one/,
        () => ({ removeUnpartitioned: true, partitioned: true, sameSite: 'none' }) ],
      [ 'prefix', () => ({ prefix: 'a:', genid, store: new MapStore() }), /config\.session\.genid makes the whole id/, () => ({ prefix: 'a:', store: new MapStore() }) ],
      [ 'acceptLegacyCookie', () => ({ acceptLegacyCookie: true, encrypt: false }), /the cookie is not sealed, .* Remove it/, () => ({ acceptLegacyCookie: true }) ],
      [ 'encode', () => ({ ...json, store: new MapStore() }), /sessions are in a store, .* Remove it, and config\.session\.decode/, () => json ],
    ];
    for (const [ name, given, reason, effective ] of IDLE) {
      it(`${name}: one line, in whatever environment`, async () => {
        for (const env of [ 'prod', 'local' ]) {
          const [ line, ...more ] = await withoutEffect(given(), env);
          assert.match(line, reason);
          assert.ok(line.includes(`config.session.${name} has no effect: `), line);
          assert.deepEqual(more, []);
        }
        assert.deepEqual(await withoutEffect(effective()), []);
      });
    }

    async function withoutEffect(session: SessionOptions, env = 'prod'): Promise<string[]> {
      let booting!: Application;
      const app = await createApp('two', {
        session: { ...SAFE, ...session },
        boot(each) {
          booting = each;
          (each as MockApplication).mockLog('coreLogger');
          Object.assign(each.config, { env });
        },
      });
      await app.close();
      return (booting.coreLogger as unknown as { _mockLogs: string[] })._mockLogs.filter(line => line.includes('has no effect'));
    }
  });

  it('tells of the key of another application of the process', async () => {
    assert.deepEqual(await review({ session: { key: '__Host-shop' }, stays: true }), []);
    const [ line, ...more ] = await review({ session: { key: '__Host-shop' } });
    assert.match(line, /another application here writes the cookie __Host-shop too, .*acceptedRisks$/);
    assert.deepEqual(more, []);
  });

  describe('of keys', () => {
    const GUESSED = [
      'my-shop_1492741334569_7411', `a-name-that-is-quite-long-by-itself_${Date.now()}_12`, 'keys', 'x'.repeat(31),
      'please-change-me-before-production-please', 'this is my very own secret, nobody knows it', 'YOUR_KEY_GOES_HERE_AND_MUST_BE_LONG_ENOUGH',
      'mySuperSecretKeyForDevelopmentOnlyInTheShop', 'example-example-example-example-example',
      'a'.repeat(64),
    ];
    for (const key of GUESSED) {
      it(`finds ${key}`, async () => {
        for (const keys of [ key, `${hex()}, ${key}` ]) assert.equal((await review({ keys })).length, 1);
      });
    }

    const random = () => [ hex(), randomBytes(16).toString('hex'), randomBytes(32).toString('base64'), randomBytes(32).toString('base64url') ];
    const GOOD = [
      ...random(), `shop-secret-${hex()}`, `development:${randomBytes(32).toString('hex').toUpperCase()}`,
      'Xk3exampleV9q/2LwT7bRz0PnYc4Hs8DmJfGu1tAo5E=', '9fQ2mChangeZ7tR4xW1pL8vB3nK6yD0sH5jG2aEcUiO', `${'f'.repeat(4)}3c9a71d05e28b64417acd9d8e0f1b6a2_1700000000000`,
    ];
    it('has nothing to say of those that are random, whatever words are in them', async () => {
      for (const key of GOOD) assert.deepEqual(await review({ keys: key }), [], key);
    });

    it('goes on with an application that has none', async () => {
      const externalKey = { get: () => undefined, set: () => undefined };
      const [ line, ...more ] = await review({ keys: null, session: { store: new MapStore(), externalKey, absoluteMaxAge: null } });
      assert.match(line, /add 'absoluteTimeout'/);
      assert.deepEqual(more, []);
    });
  });

  describe('of sessions whose id travels elsewhere', () => {
    it('has nothing to say of the cookie', async () => {
      const externalKey = { get: () => undefined, set: () => undefined };
      assert.deepEqual(await review({
        session: { store: new MapStore(), externalKey, key: 'EGG_SESS', secure: null, encrypt: false, signed: false },
      }), []);
      assert.equal((await review({ session: { store: new MapStore(), externalKey, absoluteMaxAge: null } })).length, 1);
    });
  });

  it('has nothing to say when the session\'s middleware is off', async () => {
    assert.deepEqual(await review({ session: { key: 'EGG_SESS', enable: false, rolling: false, absoluteMaxAge: null }, keys: 'short' }), []);
  });

  it('outside production, tells of httpOnly, and of the memory store with several workers', async () => {
    const risky: SessionOptions = {
      key: 'EGG_SESS', secure: false, rolling: false, absoluteMaxAge: null, encrypt: false, signed: false, acceptLegacyCookie: true,
    };
    for (const env of [ 'local', 'unittest' ]) {
      assert.deepEqual(await review({ env, session: { ...risky, store: memory() }, keys: 'short' }), []);
      assert.match((await review({ env, session: { ...risky, httpOnly: false }, keys: 'short' })).join('|'), /^[^|]*httpOnly[^|]*$/);
      assert.match((await review({ env, session: { ...risky, store: memory() }, options: { workers: 2 } })).join('|'),
        /^[^|]*MemorySessionStore[^|]*$/);
      assert.deepEqual(await review({ env, session: { ...risky, store: memory(), acceptedRisks: [ 'memoryStore' ] }, options: { workers: 2 } }), []);
    }
  });
});
