import { strict as assert } from 'node:assert';
import type { Application, Context } from 'egg';
import mm from 'egg-mock';
import type { SessionOptions } from '../..';
import { DataCookie } from '../../module/cookie/DataCookie';
import { SessionCookie } from '../../module/cookie/SessionCookie';
import { resolveConfig } from '../../module/options/SessionConfig';

const NOW = 1_764_000_000_000;
const TEXT = { decode: (text: string) => text, decodeLegacy: () => undefined, placesOf: () => [], farewell: () => ({ value: '' }) };

/** A request, and an application whose cookies are Egg's by these functions. */
function site(options: SessionOptions, cookie = '', eggGet: (name: string, options: object, addLine: (line: string) => void) => string | undefined = () => undefined) {
  const headers: Record<string, string[] | undefined> = {};
  const addLine = (line: string) => {
    headers['set-cookie'] = [ ...headers['set-cookie'] ?? [], line ];
  };
  const config = resolveConfig(options);
  const app = { config: { keys: 'a key', cookies: {} }, keys: [ 'a key' ] } as unknown as Application;
  const ctx = {
    app, sessionOptions: config, secure: false, method: 'GET', path: '/',
    get: (name: string) => (name === 'cookie' ? cookie : ''),
    res: { getHeader: (name: string) => headers[name], writeHead() { /* never sent */ } },
    set(name: string, lines: string[]) {
      headers[name] = lines;
    },
    remove(name: string) {
      delete headers[name];
    },
    cookies: { get: (name: string, more: object) => eggGet(name, more, addLine), set: (name: string, value: string) => addLine(`${name}=${value}`) },
  } as unknown as Context;
  return { app, config, ctx, addLine, lines: () => headers['set-cookie'] ?? [] };
}

describe('the session\'s cookie', () => {
  afterEach(() => mm.restore());

  it('is taken back with its signature and its partitioned twin, and with no other cookie', () => {
    const { app, config, ctx, addLine, lines } = site({ key: 'sid' });
    const others = [ 'sid2=1', 'other=1', 'other.sig=1', '_CHIPS-sid2=1' ];
    for (const line of [ 'sid=1', 'sid.sig=1', '_CHIPS-sid=1', '_CHIPS-sid.sig=1', ...others ]) addLine(line);
    new SessionCookie(app, config, 'sid', TEXT).undo(ctx);
    assert.deepEqual(lines(), others);
  });

  it('leaves no header when nothing else is in it', () => {
    const { app, config, ctx, addLine, lines } = site({ key: 'sid' });
    addLine('sid=1');
    new SessionCookie(app, config, 'sid', TEXT).undo(ctx);
    assert.deepEqual(lines(), []);
  });

  it('is only read by a route that does not use the session: Egg would sign it anew, or remove its signature', () => {
    const { app, config, ctx, addLine, lines } = site({ key: 'sid', encrypt: false }, '_CHIPS-sid=text', (name, { signed }: { signed?: boolean }, sign) => {
      if (signed !== false) sign(`_CHIPS-${name}.sig=new`);
      return 'text';
    });
    addLine('other=1');
    const { opened } = new SessionCookie(app, config, 'sid', TEXT).found(ctx);
    assert.deepEqual(opened, [{ value: 'text', stale: true, raw: 'text' }]);
    assert.deepEqual(lines(), [ 'other=1' ]);
  });

  it('with the data says when they end, in milliseconds', () => {
    mm(Date, 'now', () => NOW);
    for (const [ maxAge, about ] of [[ 60_000, { _expire: NOW + 60_000, _maxAge: 60_000 }], [ 'session', { _session: true, _savedAt: NOW }]] as const) {
      const { app, config, ctx, lines } = site({ key: 'sid', encrypt: false });
      new DataCookie(app, config).write(ctx, '{"n":1}', maxAge, NOW - 5);
      const [ line ] = lines();
      assert.deepEqual(JSON.parse(Buffer.from(line.slice('sid='.length), 'base64').toString()), { n: 1, ...about, _createdAt: NOW - 5 });
    }
  });
});
