import { strict as assert } from 'node:assert';
import { setImmediate as turn } from 'node:timers/promises';
import type { Context } from 'egg';
import mm from 'egg-mock';
import { SessionIndex } from '../../module/repository/SessionIndex';
import { Requests, type Visitor } from '../support/requests';

const MINUTE = 60_000;

function indexOf(site: Requests) {
  return new SessionIndex(site.store!, site.env.config, { app: site.app } as unknown as Context);
}

async function listed(site: Requests, principal: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const live of indexOf(site).of(principal)) keys.push(...live.map(({ key }) => key));
  return keys;
}

const keyOf = (site: Requests, { ids: [ id ] }: Visitor) => site.store!.keyOf(id);

describe('the sessions of a principal', () => {
  afterEach(() => mm.restore());

  it('are those whose data are of the principal, whatever the index has', async () => {
    const site = new Requests({ principal: 'userId' });
    const [ own, other, gone ] = [ await site.visitor({ userId: 7 }), await site.visitor({ userId: 8 }), await site.visitor({ userId: 7 }) ];
    await site.memory!.index!('7', keyOf(site, other), MINUTE);
    await site.endElsewhere(gone);
    assert.deepEqual(await listed(site, '7'), [ keyOf(site, own) ]);
  });

  it('that are too many end those first that were not seen for longest, and not the one that signs in', async () => {
    const site = new Requests({ principal: 'userId', maxSessions: 2 });
    const visitors: Visitor[] = [];
    const begun = Date.now();
    for (let i = 0; i < 4; i++) {
      mm(Date, 'now', () => begun + i);
      visitors.push(await site.visitor({ userId: 7, n: i }));
    }
    const left = await Promise.all(visitors.map(visitor => site.stored(visitor)));
    assert.deepEqual(left.map(data => data?.n), [ undefined, undefined, 2, 3 ]);
  });

  it('end where they have moved to, also by the key that they had', async () => {
    const site = new Requests({ principal: 'userId' });
    const visitor = await site.visitor({ userId: 7 });
    const key = keyOf(site, visitor);
    await site.serve(visitor, async ({ session, data }) => {
      data();
      await session.regenerate();
    });
    assert.notEqual(keyOf(site, visitor), key);
    assert.equal(await indexOf(site).end(key, 'revoked'), true);
    assert.equal(await site.stored(visitor), undefined);
    assert.equal(await indexOf(site).end(key, 'revoked'), false);
  });

  it('leave a trace for half a minute, for requests that are late', async () => {
    const site = new Requests();
    const visitor = await site.visitor();
    await indexOf(site).end(keyOf(site, visitor), 'revoked');
    const { records } = site.memory as unknown as { records: { getRemainingTTL(key: string): number } };
    const ms = records.getRemainingTTL(keyOf(site, visitor));
    assert.ok(ms > 29_000 && ms <= 30_000, `${ms} ms`);
  });

  it('are told when they end, with data and principal only where logs may have them', async () => {
    for (const logValue of [ true, false ]) {
      const site = new Requests({ principal: 'userId', logValue });
      const told: unknown[] = [];
      site.app.on('session:destroyed', ({ value, principal, reason }) => told.push({ value, principal, reason }));
      await indexOf(site).end(keyOf(site, await site.visitor({ userId: 7 })), 'revoked');
      await turn();
      assert.deepEqual(told, [{ ...logValue ? { value: { userId: 7 }, principal: '7' } : { value: undefined, principal: undefined }, reason: 'revoked' }]);
    }
  });

  it('in memory are written only over what was read', async () => {
    const site = new Requests();
    const visitor = await site.visitor({ n: 1 });
    const key = keyOf(site, visitor);
    const { memory } = site;
    const seen = (await site.record(visitor))!;
    assert.equal(await memory!.compareAndSet!(key, seen, { n: 2 }, MINUTE), true);
    assert.equal(await memory!.compareAndSet!(key, seen, { n: 3 }, MINUTE), false);
    assert.deepEqual(await site.stored(visitor), { n: 2 });
  });
});
