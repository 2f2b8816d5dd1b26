import { strict as assert } from 'node:assert';
import { AsyncLocalStorage } from 'node:async_hooks';
import { spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import type { SessionStoreOptions } from '../..';
import { StoreAdapter } from '../../module/store/StoreAdapter';
import { Deadlines } from '../../module/store/Deadlines';
import { GuardedStore } from '../../module/store/GuardedStore';
import { StoreHealth } from '../../module/store/StoreHealth';
import { ChangeClock } from '../../module/store/ChangeClock';
import { MapStore } from '../support/MapStore';

const options = { ctx: { app: { emit: () => false, listenerCount: () => 0 } } } as unknown as SessionStoreOptions;
const TIMEOUT = 50;

describe('the time that a call of the store may take', () => {
  /** Calls a store that never answers. */
  class SilentStore extends MapStore {
    override async get(key: string) {
      return key === 'silent' ? await new Promise<never>(() => undefined) : undefined;
    }
  }
  const guard = (told: () => void) => {
    const logger = { error: told, warn: told, info: told } as unknown as ConstructorParameters<typeof StoreHealth>[0];
    return new GuardedStore(new StoreAdapter(new SilentStore()), new StoreHealth(logger, TIMEOUT), new Deadlines(TIMEOUT), new ChangeClock(), false);
  };

  it('ends each call by itself, and begins anew when there was none for a while', async () => {
    const store = guard(() => undefined);
    for (let round = 0; round < 2; round++) {
      const begun: number[] = [];
      const late = Array.from({ length: 3 }, async () => {
        const start = performance.now();
        await assert.rejects(store.get('silent', undefined, options), /has not answered for 50 ms/);
        begun.push(performance.now() - start);
      });
      for (let i = 0; i < 1000; i++) assert.equal(await store.get('quick', undefined, options), undefined);
      await Promise.all(late);
      assert.ok(begun.every(ms => ms >= TIMEOUT - 1), begun.join());
    }
  });

  it('tells of each call in the async context in which it was made', async () => {
    const context = new AsyncLocalStorage<string>();
    const told: string[] = [];
    const app = new EventEmitter();
    app.on('session:storeError', ({ ctx }) => told.push(`${ctx.name} in ${context.getStore()}`));
    const store = guard(() => undefined);
    // the timer is the one of the first
    await Promise.allSettled([ 'first', 'second' ].map(name => context.run(name, () =>
      store.get('silent', undefined, { ctx: { app, name } } as unknown as SessionStoreOptions))));
    await new Promise(setImmediate);
    assert.deepEqual(told, [ 'first in first', 'second in second' ]);
  });

  it('does not keep the process alive', async () => {
    const code = `
      const { Deadlines } = require('./module/store/Deadlines');
      new Deadlines(600_000).add({ start: performance.now(), reject() {} });
    `;
    const child = spawn(process.execPath, [ '-r', 'ts-node/register/transpile-only', '-e', code ], { stdio: 'inherit' });
    assert.deepEqual(await once(child, 'exit'), [ 0, null ]);
  });
});
