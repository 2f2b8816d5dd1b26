import { strict as assert } from 'node:assert';
import { setImmediate as turn } from 'node:timers/promises';
import mm from 'egg-mock';
import { exclusively, runningKeys } from '../../module/store/KeyedMutex';
import { gate, holdTimers } from '../support/concurrent';

describe('tasks for one id in one process', () => {
  afterEach(() => {
    mm.restore();
    assert.equal(runningKeys(), 0);
  });

  it('run one after the other, in the order in which they came', async () => {
    const steps: string[] = [];
    await Promise.all([ 'a', 'b', 'c' ].map(name => exclusively('id', async () => {
      steps.push(`${name} begins`);
      for (let i = 0; i < 5; i++) await turn();
      steps.push(`${name} ends`);
    })));
    assert.deepEqual(steps, [ 'a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends' ]);
  });

  it('wait for one that runs when those before it have ended', async () => {
    const held = gate();
    let runs = false;
    const first = exclusively('id', async () => undefined);
    const second = exclusively('id', () => held.opened);
    await first;
    const third = exclusively('id', async () => {
      runs = true;
    });
    for (let i = 0; i < 5; i++) await turn();
    assert.equal(runs, false);
    held.open();
    await Promise.all([ second, third ]);
  });

  it('do not wait for those of another id', async () => {
    const held = gate();
    const first = exclusively('one', () => held.opened);
    assert.equal(await exclusively('other', async () => 'done'), 'done');
    held.open();
    await first;
  });

  it('resolve to what the task does', async () => {
    assert.deepEqual(await Promise.all([ 1, 2 ].map(n => exclusively('id', async () => n))), [ 1, 2 ]);
  });

  it('run also after one that has failed', async () => {
    const failing = exclusively('id', () => Promise.reject(new Error('no')));
    const next = exclusively('id', async () => 'done');
    await assert.rejects(failing, /no/);
    assert.equal(await next, 'done');
    assert.equal(await exclusively('id', async () => 'done'), 'done');
  });

  it('leave nothing behind', async () => {
    const held = gate();
    const tasks = [ 'a', 'b', 'b' ].map(id => exclusively(id, () => held.opened));
    assert.equal(runningKeys(), 2);
    held.open();
    await Promise.all(tasks);
    assert.equal(runningKeys(), 0);
  });

  it('make way after 10 s', async () => {
    const held = gate();
    const { result: stuck, timers } = holdTimers(() => exclusively('id', () => held.opened));
    const next = exclusively('id', async () => 'done');
    assert.deepEqual(timers.map(({ ms }) => ms), [ 10_000 ]);
    timers[0].fire();
    await assert.rejects(stuck, /the session store took longer than 10 s/);
    assert.equal(await next, 'done');
    held.open();
  });

  it('are not begun once nobody waits for them any more', async () => {
    const held = gate();
    const first = exclusively('id', () => held.opened);
    let begun = false;
    const { result: late, timers } = holdTimers(() => exclusively('id', async () => {
      begun = true;
    }));
    timers[0].fire();
    await assert.rejects(late, /the session store took longer than 10 s/);
    held.open();
    await first;
    for (let i = 0; i < 5; i++) await turn();
    assert.equal(begun, false);
  });
});
