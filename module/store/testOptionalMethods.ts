import { strict as assert } from 'node:assert';
import { setTimeout as sleep } from 'node:timers/promises';
import { MINUTE, type StoreUnderTest } from './StoreUnderTest';

/** What the suite uses of mocha. */
declare function describe(title: string, run: () => void): void;
declare function it(title: string, run: () => Promise<void>): void;
declare function before(run: (this: { skip(): void }) => void): void;

/** The part of the contract's suite that is about the optional methods; what the store lacks is shown as pending. */
export function testOptionalMethods(subject: StoreUnderTest): void {
  const { options, newKey, set, read, isGone } = subject;

  const skipWithout = (method: 'touch' | 'merge' | 'compareAndSet') => before(function() {
    if (!subject.store[method]) this.skip(); // it is optional, and this store does without
  });

  describe('touch, if there is one', () => {
    skipWithout('touch');
    const touch = (key: string, maxAge: number | 'session') => subject.store.touch!(key, maxAge, options);

    it('lets a record live longer, and leaves its value', async () => {
      const key = newKey();
      await set(key, { n: 1 }, 500);
      assert.equal(await touch(key, MINUTE), true);
      await sleep(900);
      assert.deepEqual(await read(key), { n: 1 });
      const { _expire } = (await subject.store.get(key, MINUTE, options))!;
      assert.ok(_expire === undefined || (_expire as number) > Date.now() + MINUTE / 2, 'an _expire that is out of date');
    });

    it('lets a record live shorter', async () => {
      const key = newKey();
      await set(key, { n: 1 }, MINUTE);
      assert.equal(await touch(key, 500), true);
      await sleep(900);
      await isGone(key);
    });

    it('makes no record', async () => {
      const key = newKey();
      assert.equal(await touch(key, MINUTE), false);
      await isGone(key);
    });
  });

  describe('merge, if there is one', () => {
    skipWithout('merge');
    const merge = (key: string, changes: object, maxAge: number | 'session' = MINUTE) =>
      subject.store.merge!(key, { set: {}, unset: [], replace: false, ...changes }, maxAge, options);

    it('writes and removes single fields', async () => {
      const key = newKey();
      await set(key, { a: 1, b: { c: [] }, d: 4 });
      assert.equal(await merge(key, { set: { a: [], e: null }, unset: [ 'd', 'absent' ] }), true);
      assert.deepEqual(await read(key), { a: [], b: { c: [] }, e: null });
    });

    it('replaces all fields', async () => {
      const key = newKey();
      await set(key, { a: 1, b: 2 });
      assert.equal(await merge(key, { set: { c: 3 }, replace: true }), true);
      assert.deepEqual(await read(key), { c: 3 });
    });

    it('loses nothing of 100 merges at the same time', async () => {
      const key = newKey();
      await set(key, {});
      const fields = Array.from({ length: 100 }, (_, index) => [ `field${index}`, index ] as const);
      await Promise.all(fields.map(([ field, value ]) => merge(key, { set: { [field]: value } })));
      assert.deepEqual(await read(key), Object.fromEntries(fields));
    });

    it('sets the lifetime', async () => {
      const [ longer, shorter ] = [ newKey(), newKey() ];
      await set(longer, { n: 1 }, 500);
      await set(shorter, { n: 1 }, MINUTE);
      await merge(longer, { set: { n: 2 } }, MINUTE);
      await merge(shorter, { set: { n: 2 } }, 500);
      await sleep(900);
      assert.deepEqual(await read(longer), { n: 2 });
      await isGone(shorter);
    });

    it('makes no record', async () => {
      const key = newKey();
      assert.equal(await merge(key, { set: { n: 1 } }), false);
      await isGone(key);
      await set(key, { n: 1 });
      await subject.store.destroy(key, options);
      assert.equal(await merge(key, { set: { n: 1 } }), false);
      await isGone(key);
    });
  });

  describe('compareAndSet, if there is one', () => {
    skipWithout('compareAndSet');
    const get = async (key: string) => (await subject.store.get(key, MINUTE, options))!;

    it('writes what is still as it was read', async () => {
      const key = newKey();
      await set(key, { a: 1, b: [ 1 ] });
      assert.equal(await subject.store.compareAndSet!(key, await get(key), { a: 2 }, MINUTE, options), true);
      assert.deepEqual(await read(key), { a: 2 });
      assert.equal(await subject.store.compareAndSet!(key, await get(key), { a: 3 }, MINUTE, options), true);
      assert.deepEqual(await read(key), { a: 3 });
    });

    it('does not write what has changed', async () => {
      const key = newKey();
      await set(key, { a: 1, b: [ 1 ] });
      const expected = await get(key);
      await set(key, { a: 1, b: [ 2 ] });
      assert.equal(await subject.store.compareAndSet!(key, expected, { a: 2 }, MINUTE, options), false);
      assert.deepEqual(await read(key), { a: 1, b: [ 2 ] });
    });

    it('does not write what is gone', async () => {
      const key = newKey();
      await set(key, { a: 1 });
      const expected = await get(key);
      await subject.store.destroy(key, options);
      assert.equal(await subject.store.compareAndSet!(key, expected, { a: 2 }, MINUTE, options), false);
      await isGone(key);
    });

    it('lets one of 20 writers at the same time write', async () => {
      const key = newKey();
      await set(key, { n: 0 });
      const expected = await get(key);
      const written = await Promise.all(Array.from({ length: 20 }, (_, index) =>
        subject.store.compareAndSet!(key, expected, { n: index + 1 }, MINUTE, options)));
      assert.equal(written.filter(Boolean).length, 1);
      assert.deepEqual(await read(key), { n: written.indexOf(true) + 1 });
    });
  });
}
