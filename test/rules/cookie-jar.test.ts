import { strict as assert } from 'node:assert';
import { CookieJar } from '../support/CookieJar';

const PAST = 'Thu, 01 Jan 1970 00:00:00 GMT';
const FUTURE = new Date(Date.now() + 3600_000).toUTCString();

describe('the cookie jar of the tests, as a browser does,', () => {
  /** What is sent to `to` after `from` has set these cookies. */
  function sent(from: string, setCookies: string[], to: string) {
    const jar = new CookieJar();
    for (const line of setCookies) jar.store(new URL(from), [ line ]);
    return jar.header(new URL(to));
  }
  const AT = 'http://a.test/x/y';

  const CASES: Array<[ what: string, setCookies: string[], to: string, expected: string ]> = [
    [ 'sends nothing at first', [], AT, '' ],
    [ 'sends what was set', [ 'a=1', 'b=2; HttpOnly; SameSite=Lax; Priority=High; unknown=x' ], AT, 'a=1; b=2' ],
    [ 'keeps what is in a value', [ 'a="x=y,z"' ], AT, 'a="x=y,z"' ],
    [ 'keeps an empty value', [ 'a=; path=/' ], AT, 'a=' ],
    [ 'replaces a cookie', [ 'a=1', 'b=2', 'a=3' ], AT, 'a=3; b=2' ],
    [ 'removes one that is set with a time in the past', [ 'a=1', `a=; expires=${PAST}` ], AT, '' ],
    [ 'removes one that is set with Max-Age=0', [ 'a=1', 'a=1; max-age=0' ], AT, '' ],
    [ 'takes Max-Age before Expires', [ `a=1; max-age=60; expires=${PAST}`, `b=2; expires=${FUTURE}; max-age=0` ], AT, 'a=1' ],
    [ 'takes Expires when Max-Age is no number', [ `a=1; max-age=x; expires=${PAST}` ], AT, '' ],
    [ 'keeps one whose Expires is no time', [ 'a=1; expires=never' ], AT, 'a=1' ],
    [ 'does not remove another path\'s', [ 'a=1; path=/x', `a=; path=/; expires=${PAST}` ], AT, 'a=1' ],
    [ 'does not remove a domain\'s with one of the host', [ 'a=1; domain=a.test', `a=; expires=${PAST}` ], AT, 'a=1' ],
    [ 'keeps partitioned cookies apart', [ 'a=1; partitioned', `a=; expires=${PAST}` ], AT, 'a=1' ],
    [ 'sends a cookie to its path', [ 'a=1; path=/x' ], 'http://a.test/x', 'a=1' ],
    [ 'sends a cookie below its path', [ 'a=1; path=/x' ], 'http://a.test/x/z?q', 'a=1' ],
    [ 'sends no cookie beside its path', [ 'a=1; path=/x' ], 'http://a.test/xy', '' ],
    [ 'takes the folder as the path when there is none', [ 'a=1' ], 'http://a.test/x/z', 'a=1' ],
    [ 'does so when the path is none', [ 'a=1; path=x' ], 'http://a.test/', '' ],
    [ 'sends the longer path first', [ 'a=1; path=/', 'a=2; path=/x' ], AT, 'a=2; a=1' ],
    [ 'sends a cookie to its host only', [ 'a=1; path=/' ], 'http://b.a.test/', '' ],
    [ 'sends a domain\'s cookie to the hosts below', [ 'a=1; path=/; domain=.A.test' ], 'http://b.a.test/', 'a=1' ],
    [ 'refuses a cookie for another domain', [ 'a=1; path=/; domain=b.test' ], 'http://b.test/', '' ],
    [ 'refuses one for a domain that only ends alike', [ 'a=1; path=/; domain=test.test' ], 'http://test.test/', '' ],
    [ 'refuses a secure cookie over HTTP', [ 'a=1; path=/; secure' ], 'https://a.test/', '' ],
    [ 'sends other cookies over HTTPS too', [ 'a=1; path=/' ], 'https://a.test/', 'a=1' ],
    [ 'knows attributes in any case', [ 'a=1; PATH=/; Max-Age=0' ], AT, '' ],
  ];
  for (const [ what, setCookies, to, expected ] of CASES) {
    it(what, () => assert.equal(sent(AT, setCookies, to), expected));
  }

  it('sends a secure cookie over HTTPS only', () => {
    const line = 'a=1; path=/; secure';
    assert.equal(sent('https://a.test/', [ line ], 'https://a.test/'), 'a=1');
    assert.equal(sent('https://a.test/', [ line ], 'http://a.test/'), '');
  });

  it('sends to any port', () => {
    assert.equal(sent('http://127.0.0.1:1/', [ 'a=1' ], 'http://127.0.0.1:2/'), 'a=1');
  });

  it('has an own copy of what another has', () => {
    const jar = new CookieJar().set('a', '1');
    const copy = jar.copy();
    jar.set('a', '2').set('b', '3');
    assert.deepEqual([ ...copy ], [[ 'a', '1' ]]);
    assert.deepEqual([ ...jar ], [[ 'a', '2' ], [ 'b', '3' ]]);
    jar.delete('a');
    assert.deepEqual([ jar.keys(), jar.size, jar.get('a'), jar.has('b') ], [[ 'b' ], 1, undefined, true ]);
    jar.clear();
    assert.equal(jar.size, 0);
  });

  it('replaces what a test has put in by what the server sets', () => {
    const jar = new CookieJar().set('a', 'mine');
    const url = new URL('http://127.0.0.1/run');
    assert.equal(jar.header(url), 'a=mine');
    jar.store(url, [ 'a=theirs; path=/' ]);
    assert.equal(jar.header(url), 'a=theirs');
  });
});
