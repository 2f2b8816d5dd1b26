import { strict as assert } from 'node:assert';
import type { Context } from 'egg';
import mm, { type MockApplication } from 'egg-mock';
import type { SessionOptions } from '../..';
import { Sealer } from '../../module/cookie/Sealer';
import { shortHash } from '../../module/record/shortHash';
import { Client, createApp } from '../support/app';
import { MapStore } from '../support/MapStore';
import type { Handle } from '../support/web';

const KEYS = [ 'a test key', 'another test key' ];
const NAME = 'EGG_SESS';
/** Part of each value that comes in, and of no line of the log. */
const MARK = 'polluted';

const base64 = (text: string) => Buffer.from(text).toString('base64');
const big = (text: string) => text.repeat(Math.ceil(16384 / text.length));

/** What is no cookie that any application would send. */
const GARBAGE: Array<[ what: string, value: string ]> = [
  [ 'a word', MARK ],
  [ 'garbage', `%7B\xff\xfe"${MARK}"{}()<>@,:\\` ],
  [ 'binary in Base64', Buffer.from([ 0, 255, 254, 1, ...Buffer.from(MARK) ]).toString('base64') ],
  [ 'not Base64', `!${MARK}!` ],
  [ '16 KB of a word', big(MARK) ],
  [ '16 KB of Base64 that is not JSON', big(base64(MARK.slice(0, 6))) ],
  [ 'the name of a property', '__proto__' ],
];

/** JSON that is no session. */
const NO_SESSION: Array<[ what: string, json: string ]> = [
  [ 'nothing', '' ],
  [ 'not JSON', `{"n":"${MARK}"` ],
  [ 'null', 'null' ],
  [ 'a list', '[]' ],
  [ 'a list of sessions', `[{"n":"${MARK}"}]` ],
  [ 'a text', `"${MARK}"` ],
  [ 'a number', '1' ],
  [ 'zero', '0' ],
  [ 'true', 'true' ],
  [ 'false', 'false' ],
  [ '16 KB of a list', `[${big(`"${MARK}",`)}1]` ],
  [ '16 KB of brackets', big('[') ],
];

/** Sessions with a name that no session's data can have: that is left out. */
const ODD_NAMES: Array<[ what: string, json: string ]> = [
  [ '__proto__', `{"n":1,"__proto__":{"${MARK}":1,"isNew":false}}` ],
  [ '__proto__: null', '{"n":1,"__proto__":null}' ],
  [ 'constructor', `{"n":1,"constructor":{"prototype":{"${MARK}":1}}}` ],
  [ 'constructor: a text', `{"n":1,"constructor":"${MARK}"}` ],
  ...[ 'isNew', 'length', 'populated', 'externalKey', 'maxAge', 'save', 'regenerate', 'manuallyCommit', 'commit', 'toJSON' ]
    .flatMap(name => [ `"${MARK}"`, 'false', '7', `{"${MARK}":1}`, 'null' ]
      .map((value): [ string, string ] => [ `${name}: ${value}`, `{"n":1,"${name}":${value}}` ])),
];

describe('bad input', () => {
  let app: MockApplication;
  let client: Client;
  let store: MapStore;
  before(() => {
    store = new MapStore();
  });
  afterEach(() => mm.restore());
  after(stop);

  async function stop() {
    await client?.close();
    await app?.close();
  }

  async function start(session: SessionOptions) {
    await stop();
    app = await createApp('web', { session, config: { keys: KEYS.join() } });
    client = await Client.of(app);
  }

  /** Looks at the session from inside. */
  const look = (session: any, ctx: Context) => ({
    data: { ...session },
    json: JSON.stringify(ctx.session),
    isNew: session.isNew,
    prototype: Object.getPrototypeOf(ctx.session).constructor.name,
    methods: [ 'save', 'regenerate', 'manuallyCommit', 'toJSON' ].filter(name => typeof ctx.session[name] === 'function').length,
    polluted: [ session[MARK], ctx.session[MARK], ({} as any)[MARK], (ctx.session.constructor as any)[MARK] ].filter(Boolean).length,
  });
  const FRESH = { data: {}, json: '{}', isNew: true, prototype: 'Session', methods: 4, polluted: 0 };

  /** Sends this cookie, and expects a new session, the cookie left alone, this line in the log, and a session that works from then on. */
  async function expectNew(value: string, line?: RegExp) {
    client.cookies.clear();
    client.cookies.set(NAME, value);
    app.mockLog('coreLogger');
    app.mockLog('logger');
    const response = await client.run(look);
    assert.equal(response.status, 200, response.text);
    assert.deepEqual(response.json(), FRESH);
    assert.deepEqual(response.setCookies, []);
    const all = logged();
    const told = all.filter(each => !each.includes('the session store\'s get() returned')); // comes once for all of them
    assert.equal(told.length, line ? 1 : 0);
    if (line) assert.match(told[0], line);
    assert.ok(!all.join().includes(MARK), all.join());
    assert.equal(({} as any)[MARK], undefined);

    const set = await client.run(session => {
      session.n = 7;
    });
    assert.equal(set.status, 200);
    assert.deepEqual((await client.run(session => ({ ...session }))).json(), { n: 7 });
  }

  /** Expects the session whose data are `{ n: 1 }`, as if there were nothing else in it, also once it is saved. */
  async function expectWithout() {
    app.mockLog('coreLogger');
    app.mockLog('logger');
    const { maxAge } = (await client.another().run(session => ({ maxAge: session.maxAge }))).json();
    const expected = { ...FRESH, data: { n: 1 }, json: '{"n":1}', isNew: false };
    assert.deepEqual((await client.run(look)).json(), expected);
    assert.deepEqual((await client.run(session => ({ maxAge: session.maxAge, length: session.length }))).json(), { maxAge, length: 1 });
    await client.run(session => session.save());
    assert.deepEqual((await client.run(look)).json(), expected);
    assert.deepEqual(logged(), []);
    assert.equal(({} as any)[MARK], undefined);
  }

  const logged = () => [ 'coreLogger', 'logger' ].flatMap(name =>
    (app.getLogger(name) as unknown as { _mockLogs: string[] })._mockLogs).map(line => line.trim());

  for (const logValue of [ false, true ]) {
    for (const [ mode, options ] of [
      [ 'a sealed cookie', {}],
      [ 'a sealed cookie with an id', { store: new MapStore() }],
      [ 'a sealed cookie, where egg-session\'s are accepted too', { acceptLegacyCookie: true }],
      [ 'a cookie that Egg signs', { encrypt: false }],
      [ 'a cookie that Egg encrypts', { encode: JSON.stringify, decode: JSON.parse }],
      [ 'a readable cookie', { encrypt: false, signed: false }],
    ] as Array<[ string, SessionOptions ]>) {
      describe(`in place of ${mode}, with logValue: ${logValue}`, () => {
        before(() => start({ ...options, logValue }));

        for (const [ what, value ] of GARBAGE) {
          it(`${what}: a new session`, () => expectNew(value));
        }

        for (const part of [ 0.01, 0.25, 0.5, 0.75, 0.95 ]) {
          it(`one that was truncated to ${part * 100} %: a new session`, async () => {
            client.cookies.clear();
            await client.run(session => {
              session.n = 1;
            });
            const value = client.cookies.get(NAME)!;
            await expectNew(value.slice(0, Math.ceil(value.length * part)));
          });
        }
      });
    }

    for (const [ mode, options, cookie ] of [
      [ 'sealed', {}, json => new Sealer(KEYS).seal(NAME, json) ],
      [ 'readable', { encrypt: false, signed: false }, base64 ],
    ] as Array<[ string, SessionOptions, (json: string) => string ]>) {
      describe(`in a ${mode} cookie, with logValue: ${logValue}`, () => {
        before(() => start({ ...options, logValue }));

        for (const [ what, json ] of NO_SESSION.filter(([ , json ]) => cookie(json))) {
          it(`${what}: a new session`, () => expectNew(cookie(json)));
        }

        for (const [ what, json ] of ODD_NAMES) {
          it(`${what}: the session without it`, async () => {
            client.cookies.clear();
            client.cookies.set(NAME, cookie(json));
            await expectWithout();
          });
        }
      });
    }
  }

  describe('in a store', () => {
    before(() => start({ store, logValue: false }));

    for (const [ what, json ] of NO_SESSION.filter(([ , json ]) => isJson(json))) {
      it(`${what}: a new session under another id`, async () => {
        store.entries.clear();
        client.cookies.clear();
        await client.run(session => {
          session.n = 1;
        });
        const [ id ] = store.entries.keys();
        store.entries.get(id)!.json = json;
        await expectNew(client.cookies.get(NAME)!, JSON.parse(json)
          ? new RegExp(`\\[session\\]\\[invalid\\] key\\(${shortHash(id)}\\) value\\(""\\)$`)
          : new RegExp(`\\[session\\]\\[missed\\] key\\(${shortHash(id)}\\)$`));
        assert.equal(store.entries.get(id)!.json, json);
        assert.equal(store.entries.size, 2);
      });
    }

    for (const [ what, json ] of ODD_NAMES) {
      it(`${what}: the session without it`, async () => {
        store.entries.clear();
        client.cookies.clear();
        await client.run(session => {
          session.n = 1;
        });
        const [ entry ] = store.entries.values();
        entry.json = json;
        await expectWithout();
        assert.equal(store.entries.size, 1);
      });
    }
  });

  for (const [ mode, options ] of [
    [ 'a sealed cookie', {}],
    [ 'a store', { store: new MapStore() }],
  ] as Array<[ string, SessionOptions ]>) {
    describe(`from a handler, with the session in ${mode}`, () => {
      before(() => start(options));
      beforeEach(async () => {
        client.cookies.clear();
        await client.run(session => {
          session.n = 1;
        });
      });

      for (const value of [ 'a text', '', 1, 0, true, undefined, () => 1 ]) {
        it(`ctx.session = ${typeof value} ${JSON.stringify(value) ?? ''}: koa-session's error, and the session stays`, async () => {
          const response = await client.tryRun((_, ctx) => {
            ctx.session = value as never;
          });
          assert.equal(response.status, 500);
          assert.match(response.text, /this\.session can only be set as null or an object\./);
          assert.deepEqual(response.setCookies, []);
          assert.deepEqual((await client.run(session => ({ ...session }))).json(), { n: 1 });
        });
      }

      const put = (to: any, name: string, value: unknown) => {
        to[name] = value;
      };
      const own: Handle = session => session;
      const ofContext: Handle = (_, ctx) => ctx.session;
      for (const [ what, write, ...picks ] of [
        [ 'a field of __proto__', session => put(Reflect.get(session, '__proto__'), MARK, 1), own, ofContext ],
        [ '__proto__ itself', session => put(session, '__proto__', { [MARK]: 1 }), own, ofContext ],
        [ 'a field of the class', session => put(session.constructor.prototype, MARK, 1), ofContext ],
        [ 'a field of koa-session\'s class', session => put(Object.getPrototypeOf(session.constructor.prototype), MARK, 1), ofContext ],
      ] as Array<[ string, ...Handle[] ]>) {
        it(`${what} can't be written, and no other session has it`, async () => {
          for (const pick of picks) {
            assert.equal((await client.tryRun((session, ctx) => void write(pick(session, ctx), ctx))).status, 500);
          }
          assert.deepEqual((await client.another().run(look)).json(), FRESH);
          assert.deepEqual((await client.run(session => ({ ...session }))).json(), { n: 1 });
        });
      }

      it('__proto__ inside a field stays what it is: data', async () => {
        await client.run(session => {
          session.inner = JSON.parse(`{"__proto__":{"${MARK}":1}}`);
        });
        const response = await client.run(({ inner }) => ({
          own: Object.keys(inner), inherited: inner[MARK] ?? null, prototype: Object.getPrototypeOf(inner) === Object.prototype,
        }));
        assert.deepEqual(response.json(), { own: [ '__proto__' ], inherited: null, prototype: true });
        assert.equal(({} as any)[MARK], undefined);
      });
    });
  }
});

function isJson(text: string) {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
