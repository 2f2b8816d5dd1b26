import { strict as assert } from 'node:assert';
import type { Context } from 'egg';
import { otherPlaces } from '../../module/cookie/places';

const HOSTS: Array<[ hostname: string, domains: string[] ]> = [
  [ 'localhost', []],
  [ 'example.com', [ 'example.com' ]],
  [ 'a.b.example.com', [ 'a.b.example.com', 'b.example.com', 'example.com' ]],
  [ 'a.b.c.d.example.com', [ 'b.c.d.example.com', 'c.d.example.com', 'd.example.com', 'example.com' ]],
  [ 'shop.example.co.uk', [ 'shop.example.co.uk', 'example.co.uk' ]],
  [ 'example.com.cn', [ 'example.com.cn' ]],
  [ '127.0.0.1', []],
  [ '[::1]', []],
];

describe('where else a cookie may be', () => {
  const placesFor = (hostname: string, path = '/', hasSeveral = true) => otherPlaces({ hostname, path } as Context, {}, hasSeveral);

  for (const [ hostname, domains ] of HOSTS) {
    it(`for ${hostname}: the domains ${domains.join(', ') || 'of none'}, but no public suffix, which browsers refuse`, () => {
      assert.deepEqual([ ...new Set(placesFor(hostname).map(({ domain }) => domain).filter(each => each !== undefined)) ], domains);
    });
  }

  it('the folders of the request, up to three', () => {
    const paths = new Set(placesFor('localhost', '/a/b/c/d').map(({ path }) => path));
    assert.deepEqual([ ...paths ].filter(each => each !== undefined), [ '/a', '/a/b', '/a/b/c' ]);
  });

  it('this host only, when one cookie has come and it is set for a domain', () => {
    assert.deepEqual(otherPlaces({ hostname: 'a.example.com', path: '/' } as Context, { domain: 'example.com' }, false), [{ path: undefined, partitioned: undefined }]);
    assert.deepEqual(placesFor('a.example.com', '/', false), []);
  });
});
