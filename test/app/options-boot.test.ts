import { strict as assert } from 'node:assert';
import type { Application } from 'egg';
import mm, { type MockApplication } from 'egg-mock';
import { checkMaxAge, resolveConfig } from '../../module/options/SessionConfig';
import { Client, createApp } from '../support/app';
import { quietly } from '../support/quietly';

describe('options, before the application starts', () => {
  const count = (client: Client) => client.run((_, ctx) => {
    ctx.session.n = (ctx.session.n ?? 0) + 1;
    return { n: ctx.session.n };
  });

  describe('an unknown one stops it', () => {
    for (const [ name, meant ] of [[ 'maxage', 'maxAge' ], [ 'rollling', 'rolling' ], [ 'MAXAGE', 'maxAge' ], [ 'max_age', 'maxAge' ],
      [ 'samesite', 'sameSite' ], [ 'httponly', 'httpOnly' ], [ 'contextStore', 'ContextStore' ], [ 'ignored', 'ignore' ]]) {
      it(`${name}, and the error says ${meant}`, () => {
        for (const value of [ 1, null, undefined ]) {
          assert.throws(() => resolveConfig({ [name]: value }), {
            name: 'TypeError', message: `[egg-tegg-session] config.session.${name} is unknown; did you mean ${meant}?`,
          });
        }
      });
    }

    for (const name of [ 'resave', 'saveUninitialized', 'toString', '__proto__' ]) {
      it(`${name}, and the error says where options are listed`, () => {
        assert.throws(() => resolveConfig(JSON.parse(`{ "${name}": 1 }`)), {
          name: 'TypeError', message: new RegExp(`config\\.session\\.${name} is unknown; remove it: the README of egg-tegg-session lists`),
        });
      });
    }

    for (const [ name, meant ] of [
      [ 'secret', 'config.keys, which all of Egg\'s cookies are sealed or signed with' ], [ 'keys', 'config.keys, which all of Egg\'s cookies are sealed or signed with' ],
      [ 'ttl', 'maxAge, in milliseconds' ], [ 'expires', 'maxAge, in milliseconds' ], [ 'name', 'key' ], [ 'cookieName', 'key' ],
      [ 'cookie', 'its options in config.session itself, like config.session.secure' ],
    ]) {
      it(`${name} of other frameworks, and the error says ${meant}`, () => {
        assert.throws(() => resolveConfig({ [name]: 1 }), {
          name: 'TypeError', message: `[egg-tegg-session] config.session.${name} is unknown; did you mean ${meant}?`,
        });
      });
    }

    it('Egg\'s own are known', () => {
      resolveConfig({ enable: true, match: '/a' });
      resolveConfig({ ignore: [ /b/, () => true ] });
    });
  });

  describe('maxAge', () => {
    const wrong = [ 0, -1, 0.4, NaN, Infinity, -Infinity, 1e300, 101 * 365.25 * 24 * 3600 * 1000, '1d', '5000', true, {}, 5n ];
    for (const value of wrong) {
      it(`${typeof value === 'bigint' ? '5n' : JSON.stringify(value) ?? value} ${Number.isNaN(value) ? '(NaN) ' : ''}is refused`, () => {
        assert.throws(() => resolveConfig({ maxAge: value as never }), {
          name: 'TypeError', message: /^\[egg-tegg-session\] config\.session\.maxAge is .+; it must be .* above 0 and up to 100 years, or 'session', or be left out$/,
        });
        assert.throws(() => checkMaxAge(value, 'session.maxAge'), {
          name: 'TypeError', message: /^\[egg-tegg-session\] session\.maxAge is .+; it must be .* above 0 and up to 100 years, or 'session'$/,
        });
      });
    }

    for (const value of [ null, undefined ]) {
      it(`${value} is refused at assignment`, () => {
        assert.throws(() => checkMaxAge(value, 'session.maxAge'), { name: 'TypeError', message: new RegExp(`session\\.maxAge is ${value};`) });
      });
    }

    it('is rounded to whole ms', () => {
      assert.equal(resolveConfig({ maxAge: 24 * 3600 * 1000 * 1.1 }).maxAge, 95_040_000);
      assert.equal(checkMaxAge(1.5, 'session.maxAge'), 2);
      assert.equal(checkMaxAge('session', 'session.maxAge'), 'session');
      const century = 100 * 365.25 * 24 * 3600 * 1000;
      assert.equal(checkMaxAge(century, 'session.maxAge'), century);
    });
  });

  describe('config.cookies.autoChips', () => {
    const cookies = { autoChips: true } as never;
    for (const key of [ '__Host-sid', '__Secure-sid', '__host-sid' ]) {
      it(`is refused with ${key}, as the cookie that it adds has no such protection`, () => {
        assert.throws(() => resolveConfig({ key }, cookies), {
          name: 'TypeError', message: new RegExp(`config\\.session\\.key is '${key}'; .*autoChips.* _CHIPS-${key}.*: turn autoChips off`),
        });
        assert.equal(resolveConfig({ key }).secure, true);
      });
    }

    it('is fine with another name', () => {
      assert.equal(resolveConfig({ key: 'sid' }, cookies).key, 'sid');
    });
  });

  it('are checked before anything else of the application is loaded', async () => {
    let booted = false;
    const boot = () => {
      booted = true;
    };
    await assert.rejects(quietly(() => createApp('two', { session: { maxAge: -1 }, boot })), /config\.session\.maxAge is -1/);
    assert.equal(booted, false);
  });

  it('keys are derived when it starts, not with the first request', async () => {
    const apps: MockApplication[] = [];
    const clients: Client[] = [];
    try {
      for (const later of [ false, true ]) {
        const app = await createApp('two', { config: { keys: 'the key' } });
        apps.push(app);
        const { _app } = app as unknown as { _app: Application };
        if (later) mm(_app, 'keys', [ 'another key, which comes too late' ]);
        clients.push(await Client.of(app));
      }
      await count(clients[0]);
      for (const [ name, value ] of clients[0].cookies) clients[1].cookies.set(name, value);
      assert.deepEqual((await count(clients[1])).json(), { n: 2 });
    } finally {
      mm.restore();
      for (const client of clients) await client.close();
      for (const app of apps) await app.close();
    }
  });

  it('a tegg module with the name of the plugin\'s own stops it', async () => {
    await assert.rejects(quietly(() => createApp('named-session')),
      /the tegg module in .*named-session\/modules\/mine is named `session`.*: change eggModule\.name in its package\.json/);
  });
});
