import { strict as assert } from 'node:assert';
import { setTimeout as sleep } from 'node:timers/promises';
import { LATER, MINUTE, SHORT, type StoreUnderTest } from './StoreUnderTest';

/** The part of the contract's suite that is about `touch` and `getAndTouch`. */
export function testTouch(subject: StoreUnderTest): void {
  const { options, newKey, set, read, isGone } = subject;

  subject.optional([ 'touch' ], check => {
    const touch = (key: string) => subject.store.touch!(key, options);

    check('lets a record live for its own lifetime again, and leaves its value', async () => {
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

    check('lets the session of a browser live on', async () => {
      const key = newKey();
      await set(key, { n: 1, _session: true }, 'session');
      assert.equal(await touch(key), 'session');
      assert.deepEqual(await read(key), { n: 1 });
    });

    check('makes no record', async () => {
      const key = newKey();
      assert.equal(await touch(key), false);
      await isGone(key);
    });
  });

  subject.optional([ 'getAndTouch' ], check => {
    const get = (key: string) => subject.store.get(key, MINUTE, options);
    const getAndTouch = (key: string) => subject.store.getAndTouch!(key, options);

    check('returns what get returns, and lets a record live for its own lifetime again', async () => {
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

    check('lets the session of a browser live on', async () => {
      const key = newKey();
      await set(key, { n: 1, _session: true }, 'session');
      const { n, _session } = (await getAndTouch(key))!;
      assert.deepEqual([ n, _session ], [ 1, true ]);
    });

    check('gives what belongs to the caller', async () => {
      const key = newKey();
      await set(key, { list: [ 1 ], _maxAge: MINUTE });
      ((await getAndTouch(key))!.list as number[]).push(2);
      assert.deepEqual(await read(key), { list: [ 1 ] });
    });

    check('makes no record', async () => {
      const key = newKey();
      assert.equal(await getAndTouch(key) ?? undefined, undefined);
      await isGone(key);
    });
  });
}
