import { strict as assert } from 'node:assert';
import type { Context } from 'egg';
import { hasSessionInjected } from '../../module/access/tegg';

interface Proto {
  injectObjects: Array<{ proto: Proto }>;
}
const proto = (...injected: Proto[]): Proto => ({ injectObjects: injected.map(each => ({ proto: each })) });
const request = (root?: Proto, more = {}) => ({ [Symbol.for('context#rootProto')]: root, method: 'GET', host: 'a', path: '/', app: {}, ...more }) as unknown as Context;

describe('whether a request has the session injected', () => {
  it('is no where no controller answers', () => assert.equal(hasSessionInjected(request()), false));

  it('is no where nothing that is injected leads to it, also where injections lead back', () => {
    const [ one, two ] = [ proto(), proto() ];
    one.injectObjects.push({ proto: two }, { proto: one });
    two.injectObjects.push({ proto: one });
    assert.equal(hasSessionInjected(request(one)), false);
  });

  it('is asked of the route for GET, where Egg has that answer a HEAD request', () => {
    const asked: unknown[] = [];
    const rootProtoManager = {
      getRootProto(route: unknown) {
        asked.push(route);
        return proto();
      },
    };
    for (const method of [ 'HEAD', 'POST' ]) hasSessionInjected(request(undefined, { method, app: { rootProtoManager } }));
    assert.deepEqual(asked, [{ method: 'GET', host: 'a', path: '/' }]);
  });
});
