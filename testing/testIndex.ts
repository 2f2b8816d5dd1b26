import { strict as assert } from 'node:assert';
import { setTimeout as sleep } from 'node:timers/promises';
import { atOnce, LATER, MINUTE, SHORT, type StoreUnderTest } from './StoreUnderTest';

/** The part of the contract's suite that is about `index` and `list`. */
export function testIndex(subject: StoreUnderTest): void {
  const { options, newKey, set, index } = subject;

  subject.optional([ 'index', 'list' ], check => {
    const list = async (principal?: string) => {
      const found = new Set<string>();
      for await (const keys of subject.store.list!(principal, options)) for (const key of keys) found.add(key);
      return [ ...found ].sort();
    };
    const newPrincipal = () => `principal-${newKey()}`;

    check('list the sessions of a principal, and of no other', async () => {
      const [ alice, bob ] = [ newPrincipal(), newPrincipal() ];
      const keys = [ newKey(), newKey(), newKey() ];
      for (const [ i, key ] of keys.entries()) {
        await set(key, { n: i });
        await index(i < 2 ? alice : bob, key);
      }
      assert.deepEqual(await list(alice), keys.slice(0, 2).sort());
      assert.deepEqual(await list(bob), keys.slice(2));
      assert.deepEqual(await list(newPrincipal()), []);
    });

    check('list no session that was taken off, and take off what is not there', async () => {
      const principal = newPrincipal();
      const [ key, other ] = [ newKey(), newKey() ];
      await index(principal, key);
      await index(principal, other);
      await index(principal, key, 0);
      assert.deepEqual(await list(principal), [ other ]);
      await index(principal, key, 0);
      await index(principal, other, 0);
      assert.deepEqual(await list(principal), []);
      await index(principal, key);
      assert.deepEqual(await list(principal), [ key ]);
    });

    check('keep a session for as long as was ever asked', async () => {
      const principal = newPrincipal();
      const [ longer, shorter ] = [ newKey(), newKey() ];
      await index(principal, longer, SHORT);
      await index(principal, longer, MINUTE);
      await index(principal, shorter, MINUTE);
      await index(principal, shorter, SHORT);
      await sleep(SHORT + LATER);
      await index(principal, newKey(), 0); // a store may clear up now
      assert.deepEqual(await list(principal), [ longer, shorter ].sort());
    });

    check('lose nothing of what is noted at the same time', async () => {
      const principal = newPrincipal();
      const keys = Array.from({ length: 100 }, newKey);
      await atOnce(keys, key => index(principal, key));
      assert.deepEqual(await list(principal), [ ...keys ].sort());
      await atOnce(keys.slice(1), key => index(principal, key, 0));
      assert.deepEqual(await list(principal), [ keys[0] ]);
    });

    check('list all of 1,200 sessions of a principal', async () => {
      const principal = newPrincipal();
      const keys = Array.from({ length: 1200 }, newKey);
      await atOnce(keys, key => index(principal, key));
      assert.deepEqual(await list(principal), [ ...keys ].sort());
    });

    check('take any principal', async () => {
      const base = newPrincipal();
      const principals = [ ' ', '/', ':', '*', '?', '[a]', '{a}', '\n', '\'', '"', '会话', '🦆', '__proto__', 'x'.repeat(500) ]
        .map(odd => `${base}${odd}`);
      const keys = principals.map(newKey);
      for (const [ i, principal ] of principals.entries()) await index(principal, keys[i]);
      for (const [ i, principal ] of principals.entries()) assert.deepEqual(await list(principal), [ keys[i] ], principal);
    });

    check('list the sessions of all, whoever\'s and nobody\'s, and nothing else', async () => {
      const principal = newPrincipal();
      const keys = [ newKey(), newKey() ];
      for (const key of keys) await set(key, { n: 1 });
      await index(principal, keys[0]);
      const all = await list();
      assert.deepEqual(all.filter(key => keys.includes(key)), [ ...keys ].sort());
      assert.deepEqual(all.filter(key => key.includes(principal)), []);
    });
  });
}
