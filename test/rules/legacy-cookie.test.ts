import { strict as assert } from 'node:assert';
import type { Context } from 'egg';
import mm from 'egg-mock';
import { legacyTexts, withCappedLifetime } from '../../module/cookie/LegacyCookie';

const NOW = Date.now();
const HOUR = 3600_000;

/** How the cookies of each Egg give what they have decrypted. */
const DECRYPTED = { 'Egg 3': (text: Buffer) => text, 'Egg 4': (value: Buffer) => ({ value, index: 0 }) };

describe('a cookie of egg-session', () => {
  afterEach(() => mm.restore());

  for (const [ egg, decrypted ] of Object.entries(DECRYPTED)) {
    /** A request to an application with two keys; the one that is called `good` opens what is encrypted, the other makes rubbish of it. */
    const ctx = {
      app: { keys: [ 'new', 'good' ] },
      cookies: {
        keys: new class Keys {
          constructor(private readonly keys: string[]) {}
          verify(data: string, signature: string) {
            return signature === `signed ${data}` ? 0 : -1;
          }
          decrypt(data: Buffer) {
            return this.keys[0] === 'good' ? decrypted(Buffer.from(`opened ${data}`)) : false;
          }
        }([ 'new', 'good' ]),
      },
    } as unknown as Context;
    const encrypted = Buffer.from('text').toString('base64');

    it(`opens as ${egg} decrypts it, under any key`, () => {
      assert.deepEqual(legacyTexts(ctx, 'sid', encrypted, []), [ 'opened text' ]);
    });

    it(`opens when one of its signatures is good, on ${egg}`, () => {
      assert.deepEqual(legacyTexts(ctx, 'sid', 'value', [ 'bad', 'signed sid=value' ]), [ 'value' ]);
    });

    it(`does not open by a signature that is bad, or another cookie's, on ${egg}`, () => {
      assert.ok(!legacyTexts(ctx, 'sid', 'value', [ 'bad', 'signed other=value' ]).includes('value'));
    });
  }

  const LIFETIMES: Array<[ what: string, record: object, maxAge: number | 'session', is: object ]> = [
    [ 'has its own lifetime, where that is shorter', { _expire: NOW + 1000, _maxAge: 2000 }, HOUR, { _expire: NOW + 1000, _maxAge: 2000 }],
    [ 'lives no longer than a new one', { _expire: NOW + 9 * HOUR, _maxAge: HOUR }, HOUR, { _expire: NOW + HOUR, _maxAge: HOUR }],
    [ 'has no longer lifetime than a new one', { _expire: NOW + HOUR, _maxAge: 9 * HOUR }, HOUR, { _expire: NOW + HOUR, _maxAge: HOUR }],
    [ 'has the lifetime of a new one, where it names none', { _session: true }, HOUR, { _expire: NOW + HOUR, _maxAge: HOUR }],
    [ 'ends with the browser, as a new one does', { _expire: NOW + 9 * HOUR, _maxAge: 9 * HOUR }, 'session', { _session: true }],
  ];
  for (const [ what, record, maxAge, is ] of LIFETIMES) {
    it(what, () => {
      mm(Date, 'now', () => NOW);
      assert.deepEqual(withCappedLifetime({ n: 1, ...record }, maxAge), { n: 1, ...is });
    });
  }

  it('brings nothing along that is about a record', () => {
    const record = withCappedLifetime({ n: 1, _createdAt: 1, _principal: 'admin', _cookie: [{ domain: 'x' }] }, HOUR);
    assert.deepEqual(Object.keys(record), [ 'n', '_maxAge', '_expire' ]);
  });
});
