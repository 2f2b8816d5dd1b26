import { strict as assert } from 'node:assert';
import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import type { Application, Context } from 'egg';
import mm from 'egg-mock';
import type { SessionOptions } from '../..';
import { DataCookie } from '../../module/cookie/DataCookie';
import { ExternalKey, IdCookie } from '../../module/cookie/IdTransport';
import { Sealer } from '../../module/cookie/Sealer';
import { SessionCookie } from '../../module/cookie/SessionCookie';
import { resolveConfig } from '../../module/options/SessionConfig';
import { Snapshot } from '../../module/record/Snapshot';

const NOW = 1_764_000_000_000;
const TEXT = { decode: (text: string) => text, decodeLegacy: () => undefined, placesOf: () => [], farewell: () => ({ value: '' }) };

type EggGet = (name: string, options: { signed?: boolean }, addLine: (line: string) => void) => string | undefined;

/** A request, and an application whose cookies are Egg's by these functions. */
function site(options: SessionOptions, cookie = '', { eggGet = () => undefined, keys = [ 'a key' ] }: { eggGet?: EggGet; keys?: string[] } = {}) {
  const res = new ServerResponse(new IncomingMessage(new Socket()));
  const lines = () => [ res.getHeader('set-cookie') ?? [] ].flat() as string[];
  const addLine = (line: string) => void res.setHeader('set-cookie', [ ...lines(), line ]);
  const config = resolveConfig({ key: 'sid', ...options });
  const app = { config: { keys: keys.join(), cookies: {} }, keys, coreLogger: { warn() { /* not looked at */ } } } as unknown as Application;
  const ctx = {
    app, res, response: {}, sessionOptions: config, secure: false, method: 'GET', path: '/', hostname: 'localhost',
    get: (name: string) => (name === 'cookie' ? cookie : ''),
    set: (name: string, value: string[]) => res.setHeader(name, value),
    remove: (name: string) => res.removeHeader(name),
    vary: (name: string) => res.setHeader('vary', `${String(res.getHeader('vary'))}, ${name}`),
    cookies: {
      get: (name: string, more: { signed?: boolean }) => eggGet(name, more, addLine), set: (name: string, value: string) => addLine(`${name}=${value}`),
      keys: { verify: (_data: string, signature: string) => (signature === 'good' ? 0 : -1) },
    },
  } as unknown as Context;
  return { app, config, ctx, res, addLine, lines };
}

describe('the session\'s cookie', () => {
  afterEach(() => mm.restore());

  it('is taken back with its signature and its partitioned twin, and with no other cookie', () => {
    const { app, config, ctx, addLine, lines } = site({});
    const others = [ 'sid2=1', 'other=1', 'other.sig=1', '_CHIPS-sid2=1' ];
    for (const line of [ 'sid=1', 'sid.sig=1', '_CHIPS-sid=1', '_CHIPS-sid.sig=1', ...others ]) addLine(line);
    new SessionCookie(app, config, 'sid', TEXT).undo(ctx);
    assert.deepEqual(lines(), others);
  });

  it('leaves no header when nothing else is in it', () => {
    const { app, config, ctx, addLine, lines } = site({});
    addLine('sid=1');
    new SessionCookie(app, config, 'sid', TEXT).undo(ctx);
    assert.deepEqual(lines(), []);
  });

  it('is only read by a route that does not use the session: Egg would sign it anew, or remove its signature', () => {
    const { app, config, ctx, addLine, lines } = site({ encrypt: false }, '_CHIPS-sid=text', {
      eggGet(name, { signed }, sign) {
        if (signed !== false) sign(`_CHIPS-${name}.sig=new`);
        return 'text';
      },
    });
    addLine('other=1');
    const { opened } = new SessionCookie(app, config, 'sid', TEXT).found(ctx);
    assert.deepEqual(opened, [{ value: 'text', stale: true, raw: 'text' }]);
    assert.deepEqual(lines(), [ 'other=1' ]);
  });

  it('with the data says when they end, in milliseconds', () => {
    mm(Date, 'now', () => NOW);
    for (const [ maxAge, about ] of [[ 60_000, { _expire: NOW + 60_000, _maxAge: 60_000 }], [ 'session', { _session: true, _savedAt: NOW }]] as const) {
      const { app, config, ctx, lines } = site({ encrypt: false });
      new DataCookie(app, config).write(ctx, Snapshot.of({ n: 1 }), maxAge, NOW - 5);
      const [ line ] = lines();
      assert.deepEqual(JSON.parse(Buffer.from(line.slice('sid='.length), 'base64').toString()), { n: 1, ...about, _createdAt: NOW - 5 });
    }
  });

  it('with an id holds no data, and with data no id', () => {
    const { app, config, ctx, lines } = site({});
    new DataCookie(app, config).write(ctx, Snapshot.of({ n: 1 }), 'session', NOW);
    new IdCookie(app, config).write(ctx, 'an id', () => true);
    const [ data, id ] = lines();
    assert.deepEqual(new IdCookie(app, config).read(site({}, id).ctx).map(({ value }) => value), [ 'an id' ]);
    assert.deepEqual(new IdCookie(app, config).read(site({}, data).ctx), []);
    assert.equal(new DataCookie(app, config).read(site({}, id).ctx), undefined);
    assert.equal(new DataCookie(app, config).read(site({}, data).ctx)?.value.n, 1);
  });

  const sealed = (text: string, key = 'a key') => new Sealer([ key ]).seal('sid id', text);

  it('counts among others of its name, as another host of the domain can set them', () => {
    for (const cookie of [ `sid=planted; sid=${sealed('an id')}`, `sid=${sealed('an id')}; sid=planted` ]) {
      const { app, config, ctx } = site({}, cookie);
      assert.deepEqual(new IdCookie(app, config).read(ctx).map(({ value }) => value), [ 'an id' ]);
    }
  });

  it('with an id is sent as the browser has it, or sealed anew when that is under an old key', () => {
    for (const [ key, isSame ] of [[ 'new', true ], [ 'old', false ]] as const) {
      const value = sealed('an id', key);
      const { app, config, ctx, lines } = site({}, `sid=${value}`, { keys: [ 'new', 'old' ] });
      const ids = new IdCookie(app, config);
      assert.deepEqual(ids.read(ctx).map(({ stale }) => stale), [ !isSame ]);
      ids.write(ctx, 'an id', () => true);
      assert.equal(lines()[0] === `sid=${value}`, isSame);
      assert.deepEqual(new Sealer([ 'new' ]).open('sid id', lines()[0].slice('sid='.length)), { text: 'an id', stale: false });
    }
  });

  it('of egg-session is accepted where that is asked for, and written anew', () => {
    for (const [ options, found ] of [[{}, []], [{ acceptLegacyCookie: true }, [{ value: 'id-of-egg-session', stale: true, raw: 'id-of-egg-session' }]]] as const) {
      const { app, config, ctx } = site(options, 'sid=id-of-egg-session; sid.sig=good');
      assert.deepEqual(new IdCookie(app, config).read(ctx), found);
    }
  });

  it('takes 4096 bytes with its name, as browsers keep no more', () => {
    const { app, config, ctx, lines } = site({});
    const cookie = new DataCookie(app, config);
    const write = (n: number) => {
      cookie.write(ctx, Snapshot.of({ text: 'x'.repeat(n) }), 'session', NOW);
      return lines().at(-1)!.length - '='.length;
    };
    const around = Math.floor((write(0) - 'sid2'.length) * 3 / 4);
    const most = 4092 / 4 * 3 - around;
    assert.equal(write(most), 4096);
    assert.throws(() => write(most + 1), /the session is too large for a cookie: sid would take 4098 bytes/);
  });

  describe('keeps a response out of shared caches', () => {
    const KEPT_PRIVATE: Array<[ given: Record<string, string>, sent: Record<string, string> ]> = [
      [{}, { 'cache-control': 'private', vary: 'Cookie' }],
      [{ 'cache-control': 'public, max-age=60' }, { 'cache-control': 'private, max-age=60', vary: 'Cookie' }],
      [{ 'cache-control': 'max-age=60, s-maxage=600' }, { 'cache-control': 'private, max-age=60', vary: 'Cookie' }],
      [{ 'cache-control': 'no-store' }, { 'cache-control': 'no-store', vary: 'Cookie' }],
      [{ 'cache-control': 'private="x, public", public' }, { 'cache-control': 'private, private="x, public"', vary: 'Cookie' }],
      [{ vary: 'Accept' }, { 'cache-control': 'private', vary: 'Accept, Cookie' }],
      ...[ 'CDN-Cache-Control', 'Cloudflare-CDN-Cache-Control', 'Surrogate-Control', 'X-Accel-Expires', 'Edge-Control', 'X-LiteSpeed-Cache-Control' ].map(name =>
        [{ [name]: 'max-age=60' }, { 'cache-control': 'private', vary: 'Cookie' }] as [ Record<string, string>, Record<string, string> ]),
      [{ 'surrogate-key': 'a' }, { 'surrogate-key': 'a', 'cache-control': 'private', vary: 'Cookie' }],
    ];
    /** The headers that a response has, when it was given some, and a session. */
    function send(given: Record<string, string>, set: (request: ReturnType<typeof site>) => void) {
      const request = site({});
      set(request);
      for (const [ name, value ] of Object.entries(given)) request.res.setHeader(name, value);
      request.res.writeHead(200);
      return { ...request.res.getHeaders() };
    }
    for (const [ given, sent ] of KEPT_PRIVATE) {
      it(`whatever it says: ${JSON.stringify(given)}`, () => {
        const headers = send(given, ({ app, config, ctx }) => new IdCookie(app, config).write(ctx, 'an id', () => true));
        delete headers['set-cookie'];
        assert.deepEqual(headers, sent);
      });
    }

    it('also when the id is in a header', () => {
      const set = ({ ctx }: ReturnType<typeof site>) => new ExternalKey({ get: () => undefined, set: (_, id) => ctx.res.setHeader('x-session', id) }).write(ctx, 'an id');
      assert.deepEqual(send({ 'cache-control': 'public' }, set), { 'x-session': 'an id', 'cache-control': 'private', vary: 'Cookie' });
    });

    it('but not when the cookie was taken back, or is not good any more', () => {
      for (const isGood of [ true, false ]) {
        const headers = send({ 'cache-control': 'public' }, ({ app, config, ctx }) => {
          const ids = new IdCookie(app, config);
          ids.write(ctx, 'an id', () => isGood);
          if (isGood) ids.undo(ctx);
        });
        assert.deepEqual(headers, { 'cache-control': 'public' });
      }
    });
  });
});
