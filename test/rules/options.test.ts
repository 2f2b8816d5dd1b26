import { strict as assert } from 'node:assert';
import type { Application } from 'egg';
import { checkMaxAge, hasKeys, requireText, resolveConfig } from '../../module/options/SessionConfig';
import type { SessionOptions } from '../..';

describe('the options', () => {
  it('have the defaults that docs/options.md tells', () => {
    const { genid, ...defaults } = resolveConfig({});
    assert.deepEqual(defaults, {
      key: 'EGG_SESS', maxAge: 86_400_000, autoCommit: true, encrypt: true, httpOnly: true, logValue: true, storeTimeout: 2000, onStoreError: 'fail', load: 'always',
      sameSite: 'lax',
    });
    assert.match(genid({} as never), /^[\w-]{24}$/);
  });

  it('leave SameSite to config.cookies, where that has it', () => {
    assert.ok(!('sameSite' in resolveConfig({}, { sameSite: 'strict' } as never)));
    assert.equal(resolveConfig({ sameSite: 'none' }, { sameSite: 'strict' } as never).sameSite, 'none');
  });

  it('treat null as an option that was left out', () => {
    assert.equal(resolveConfig({ maxAge: null as never, store: null as never }).maxAge, 86_400_000);
  });

  const REFUSED: Array<[ options: SessionOptions, error: RegExp ]> = [
    [{ maxAge: 0 }, /maxAge is 0;/ ],
    [{ maxAge: 0.4 }, /maxAge is 0\.4;/ ],
    [{ maxAge: 36_526 * 86_400_000 }, /up to 100 years/ ],
    [{ absoluteMaxAge: 0.4 }, /absoluteMaxAge is 0\.4;/ ],
    [{ maxSessions: 1 }, /maxSessions is 1; it needs config\.session\.principal/ ],
    [{ maxSessions: 0, principal: 'userId' }, /maxSessions is 0;/ ],
    [{ key: '__Host-sid', domain: 'example.com' }, /domain is 'example\.com'; it and config\.cookies\.domain must be left out/ ],
    [{ key: '__host-sid', path: '/a' }, /path is '\/a'; it must be '\/'/ ],
    [{ key: '__secure-sid', secure: false }, /secure is false; it must be true/ ],
    [{ principal: '_principal' }, /principal is '_principal';/ ],
  ];
  for (const [ options, error ] of REFUSED) {
    it(`refuse ${JSON.stringify(options)}`, () => assert.throws(() => resolveConfig(options), error));
  }

  it('turn Secure on with a name that needs it, in any case', () => {
    for (const key of [ '__Host-sid', '__host-sid', '__SECURE-sid' ]) assert.equal(resolveConfig({ key }).secure, true, key);
    assert.equal(resolveConfig({ key: 'sid' }).secure, undefined);
  });

  it('round a lifetime to whole milliseconds', () => {
    assert.equal(checkMaxAge(0.5, 'maxAge'), 1);
    assert.equal(resolveConfig({ maxAge: 1000.4 }).maxAge, 1000);
  });

  it('must not be functions that return an empty text, or none', () => {
    assert.equal(requireText('a', 'genid'), 'a');
    for (const result of [ '', undefined, null, 1, {}]) assert.throws(() => requireText(result, 'genid'), /genid returned .*; it must return a string that is not empty/);
    assert.throws(() => requireText(Promise.resolve('a'), 'genid'), /genid returned a promise; it must not be async/);
  });

  it('need a secret in config.keys', () => {
    const has = (keys: unknown) => hasKeys({ config: { keys } } as Application);
    for (const keys of [ undefined, null, '', ' ', ',', ' , ' ]) assert.equal(has(keys), false, String(keys));
    for (const keys of [ 'a', ' a', ',a' ]) assert.equal(has(keys), true, String(keys));
  });
});
