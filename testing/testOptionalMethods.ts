import { strict as assert } from 'node:assert';
import { setTimeout as sleep } from 'node:timers/promises';
import { AT_ONCE, atOnce, LATER, MINUTE, SHORT, type StoreUnderTest } from './StoreUnderTest';

/** The part of the contract's suite that is about `merge`, `compareAndSet` and `retire`. */
export function testOptionalMethods(subject: StoreUnderTest): void {
  const { options, newKey, set, read, isGone } = subject;

  subject.optional([ 'merge' ], check => {
    const merge = (key: string, changes: object) =>
      subject.store.merge!(key, { set: {}, unset: [], replace: false, ...changes }, options);

    check('writes and removes single fields', async () => {
      const key = newKey();
      await set(key, { a: 1, b: { c: [] }, d: 4, _maxAge: MINUTE });
      assert.equal(await merge(key, { set: { a: [], e: null }, unset: [ 'd', 'absent' ] }), MINUTE);
      assert.deepEqual(await read(key), { a: [], b: { c: [] }, e: null });
    });

    check('replaces all fields', async () => {
      const key = newKey();
      await set(key, { a: 1, b: 2, _maxAge: MINUTE });
      assert.equal(await merge(key, { set: { c: 3 }, replace: true }), MINUTE);
      assert.deepEqual(await read(key), { c: 3 });
    });

    check('keeps the fields about a record that it replaces, unless they are among the changes', async () => {
      const key = newKey();
      const about = async () => {
        const { _kept, _changed, _removed, _maxAge } = (await subject.store.get(key, MINUTE, options))!;
        return { _kept, _changed, _removed, _maxAge };
      };
      await set(key, { a: 1, _kept: [ 1 ], _changed: 1, _removed: 1, _maxAge: MINUTE });
      assert.equal(await merge(key, { set: { b: 2 }, replace: true }), MINUTE);
      assert.deepEqual(await about(), { _kept: [ 1 ], _changed: 1, _removed: 1, _maxAge: MINUTE });
      await merge(key, { set: { c: 3, _changed: 2 }, unset: [ '_removed' ], replace: true });
      assert.deepEqual(await about(), { _kept: [ 1 ], _changed: 2, _removed: undefined, _maxAge: MINUTE });
      assert.deepEqual(await read(key), { c: 3 });
    });

    check('lets a record end when it would have ended anyway, under renew: false', async () => {
      const key = newKey();
      const lifetime = 6 * SHORT;
      await set(key, { n: 1, _maxAge: lifetime }, lifetime);
      const { _expire } = (await subject.store.get(key, MINUTE, options))!;
      await sleep(lifetime / 2);
      assert.equal(await merge(key, { set: { n: 2 }, renew: false }), lifetime);
      assert.deepEqual(await read(key), { n: 2 });
      const after = (await subject.store.get(key, MINUTE, options))!;
      assert.ok(Math.abs(Number(after._expire ?? 0) - Number(_expire ?? 0)) < LATER, 'an _expire that has moved');
      await sleep(lifetime / 2 + LATER);
      await isGone(key);
    });

    check('loses nothing of merges at the same time', async () => {
      const key = newKey();
      await set(key, {});
      const fields = Array.from({ length: 100 }, (_, index) => [ `field${index}`, index ] as const);
      await atOnce(fields, ([ field, value ]) => merge(key, { set: { [field]: value } }));
      assert.deepEqual(await read(key), Object.fromEntries(fields));
    });

    check('leaves the lifetime, or writes the one that is among the changes', async () => {
      const key = newKey();
      await set(key, { n: 1, _maxAge: MINUTE }, MINUTE);
      assert.equal(await merge(key, { set: { n: 2 } }), MINUTE);
      assert.equal(await merge(key, { set: { _session: true }, unset: [ '_maxAge' ] }), 'session');
      assert.equal(await merge(key, { set: { n: 3 }, replace: true }), 'session');
      assert.equal(await merge(key, { set: { _maxAge: 2 * MINUTE }, unset: [ '_session' ], replace: true }), 2 * MINUTE);
      assert.equal(await merge(key, { set: { n: 4 } }), 2 * MINUTE);
      assert.deepEqual(await read(key), { n: 4 });
    });

    check('ends a record after the lifetime among the changes', async () => {
      const key = newKey();
      await set(key, { n: 1, _maxAge: MINUTE }, MINUTE);
      await merge(key, { set: { _maxAge: SHORT } });
      await sleep(SHORT + LATER);
      await isGone(key);
    });

    check('makes no record', async () => {
      const key = newKey();
      assert.equal(await merge(key, { set: { n: 1 } }), false);
      await isGone(key);
      await set(key, { n: 1 });
      await subject.store.destroy(key, options);
      assert.equal(await merge(key, { set: { n: 1 } }), false);
      await isGone(key);
    });
  });

  subject.optional([ 'compareAndSet' ], check => {
    const get = async (key: string) => (await subject.store.get(key, MINUTE, options))!;

    check('writes what is still as it was read', async () => {
      const key = newKey();
      await set(key, { a: 1, b: [ 1 ] });
      assert.equal(await subject.store.compareAndSet!(key, await get(key), { a: 2 }, MINUTE, options), true);
      assert.deepEqual(await read(key), { a: 2 });
      assert.equal(await subject.store.compareAndSet!(key, await get(key), { a: 3 }, MINUTE, options), true);
      assert.deepEqual(await read(key), { a: 3 });
    });

    check('does not write what has changed', async () => {
      const key = newKey();
      await set(key, { a: 1, b: [ 1 ] });
      const expected = await get(key);
      await set(key, { a: 1, b: [ 2 ] });
      assert.equal(await subject.store.compareAndSet!(key, expected, { a: 2 }, MINUTE, options), false);
      assert.deepEqual(await read(key), { a: 1, b: [ 2 ] });
    });

    check('does not write what is gone', async () => {
      const key = newKey();
      await set(key, { a: 1 });
      const expected = await get(key);
      await subject.store.destroy(key, options);
      assert.equal(await subject.store.compareAndSet!(key, expected, { a: 2 }, MINUTE, options), false);
      await isGone(key);
    });

    check('lets one of several writers at the same time write', async () => {
      for (const key of Array.from({ length: 4 }, newKey)) {
        await set(key, { n: 0 });
        const expected = await get(key);
        const written = await Promise.all(Array.from({ length: AT_ONCE }, (_, index) =>
          subject.store.compareAndSet!(key, expected, { n: index + 1 }, MINUTE, options)));
        assert.equal(written.filter(Boolean).length, 1);
        assert.deepEqual(await read(key), { n: written.indexOf(true) + 1 });
      }
    });
  });

  subject.optional([ 'retire' ], check => {
    const retire = (key: string, successor: string | null, graceMs = MINUTE) =>
      subject.store.retire!(key, successor, graceMs, options);
    const get = (key: string) => subject.store.get(key, MINUTE, options);

    check('takes the record, and leaves a tombstone that names the successor', async () => {
      for (const successor of [ newKey(), null ]) {
        const key = newKey();
        await set(key, { n: 1, _maxAge: MINUTE });
        const record = (await retire(key, successor))!;
        assert.equal((record as { n?: number }).n, 1);
        assert.deepEqual(await get(key), { _successor: successor });
      }
    });

    check('leaves a tombstone that is there, and returns it', async () => {
      const key = newKey();
      await set(key, { n: 1 });
      await retire(key, 'first');
      for (const later of [ 'second', null ]) assert.deepEqual(await retire(key, later), { _successor: 'first' });
      assert.deepEqual(await get(key), { _successor: 'first' });
    });

    check('leaves nothing where there is nothing', async () => {
      const key = newKey();
      assert.equal(await retire(key, 'successor') ?? undefined, undefined);
      assert.equal(await get(key) ?? undefined, undefined);
    });

    check('leaves a tombstone that is no record', async () => {
      const key = newKey();
      await set(key, { n: 1, _maxAge: MINUTE });
      const expected = (await get(key))!;
      await retire(key, null);
      const { store } = subject;
      if (store.touch) assert.equal(await store.touch(key, options), false);
      if (store.merge) assert.equal(await store.merge(key, { set: { n: 2 }, unset: [], replace: true }, options), false);
      if (store.compareAndSet) assert.equal(await store.compareAndSet(key, expected, { n: 2 }, MINUTE, options), false);
      assert.deepEqual(await get(key), { _successor: null });
    });

    check('leaves a tombstone for getAndTouch, which does not renew it', async () => {
      if (!subject.store.getAndTouch) return;
      const key = newKey();
      await set(key, { n: 1, _maxAge: MINUTE });
      await retire(key, 'successor', 2 * SHORT);
      await sleep(SHORT);
      assert.deepEqual(await subject.store.getAndTouch(key, options), { _successor: 'successor' });
      await sleep(SHORT + LATER);
      assert.equal(await get(key) ?? undefined, undefined);
    });

    check('lets the tombstone go after a while', async () => {
      const key = newKey();
      await set(key, { n: 1 });
      await retire(key, null, SHORT);
      await sleep(SHORT + LATER);
      assert.equal(await get(key) ?? undefined, undefined);
    });

    check('gives the record to one of several at the same time', async () => {
      for (const key of Array.from({ length: 4 }, newKey)) {
        await set(key, { n: 1 });
        const taken = await Promise.all(Array.from({ length: AT_ONCE }, (_, index) => retire(key, `successor${index}`)));
        assert.equal(taken.filter(record => record && 'n' in record).length, 1);
        const { _successor } = (await get(key))!;
        assert.equal(_successor, `successor${taken.findIndex(record => record && 'n' in record)}`);
      }
    });
  });
}
