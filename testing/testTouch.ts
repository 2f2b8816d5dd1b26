import { strict as assert } from 'node:assert';
import { setTimeout as sleep } from 'node:timers/promises';
import { LATER, MINUTE, SHORT, type StoreUnderTest } from './StoreUnderTest';

/** What the suite uses of mocha. */
declare function describe(title: string, run: () => void): void;
declare function it(title: string, run: () => Promise<void>): void;

/** The part of the contract's suite that is about `touch` and `getAndTouch`. */
export function testTouch(subject: StoreUnderTest): void {
  const { options, newKey, set, read, isGone } = subject;

  describe('touch, if there is one', () => {
    subject.needs('touch');
    const touch = (key: string) => subject.store.touch!(key, options);

    it('lets a record live for its own lifetime again, and leaves its value', async () => {
      const key = newKey();
      const lifetime = 6 * SHORT;
      await set(key, { n: 1, _maxAge: lifetime }, lifetime);
      await sleep(lifetime / 2);
      assert.equal(await touch(key), lifetime);
      await sleep(lifetime / 2 + LATER);
      assert.deepEqual(await read(key), { n: 1 });
      const { _expire } = (await subject.store.get(key, MINUTE, options))!;
      assert.ok(_expire === undefined || (_expire as number) > Date.now(), 'an _expire that is out of date');
    });

    it('lets the session of a browser live on', async () => {
      const key = newKey();
      await set(key, { n: 1, _session: true }, 'session');
      assert.equal(await touch(key), 'session');
      assert.deepEqual(await read(key), { n: 1 });
    });

    it('makes no record', async () => {
      const key = newKey();
      assert.equal(await touch(key), false);
      await isGone(key);
    });
  });

  describe('getAndTouch, if there is one', () => {
    subject.needs('getAndTouch');
    const get = (key: string) => subject.store.get(key, MINUTE, options);
    const getAndTouch = (key: string) => subject.store.getAndTouch!(key, options);

    it('returns what get returns, and lets a record live for its own lifetime again', async () => {
      const key = newKey();
      const lifetime = 6 * SHORT;
      const data = { n: 1, list: [], text: '会话', nothing: null, nested: { a: { b: [ 1 ] } } };
      await set(key, { ...data, _maxAge: lifetime }, lifetime);
      const written = (await get(key))!;
      await sleep(lifetime / 2);
      const found = (await getAndTouch(key))!;
      assert.deepEqual({ ...found, _expire: 0 }, { ...written, _expire: 0 });
      assert.deepEqual(found, await get(key));
      await sleep(lifetime / 2 + LATER);
      assert.deepEqual(await read(key), data);
      await sleep(lifetime / 2);
      await isGone(key);
    });

    it('lets the session of a browser live on', async () => {
      const key = newKey();
      await set(key, { n: 1, _session: true }, 'session');
      const { n, _session } = (await getAndTouch(key))!;
      assert.deepEqual([ n, _session ], [ 1, true ]);
    });

    it('gives what belongs to the caller', async () => {
      const key = newKey();
      await set(key, { list: [ 1 ], _maxAge: MINUTE });
      ((await getAndTouch(key))!.list as number[]).push(2);
      assert.deepEqual(await read(key), { list: [ 1 ] });
    });

    it('makes no record', async () => {
      const key = newKey();
      assert.equal(await getAndTouch(key) ?? undefined, undefined);
      await isGone(key);
    });
  });

  describe('getAndTouch and retire, if there are any', () => {
    subject.needs('getAndTouch', 'retire');

    it('returns a tombstone, which goes when it would have gone anyway', async () => {
      const key = newKey();
      await set(key, { n: 1, _maxAge: MINUTE });
      await subject.store.retire!(key, 'successor', 2 * SHORT, options);
      await sleep(SHORT);
      assert.deepEqual(await subject.store.getAndTouch!(key, options), { _successor: 'successor' });
      await sleep(SHORT + LATER);
      assert.equal(await subject.store.get(key, MINUTE, options) ?? undefined, undefined);
    });
  });
}
