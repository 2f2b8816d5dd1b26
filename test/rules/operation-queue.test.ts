import { strict as assert } from 'node:assert';
import { OperationQueue } from '../../module/request/OperationQueue';
import { gate } from '../support/concurrent';

describe('the operations of one request', () => {
  it('run one after the other, in the order in which they were asked for', async () => {
    const queue = new OperationQueue();
    const steps: string[] = [];
    const held = gate();
    const first = queue.run(async () => {
      steps.push('first begins');
      await held.opened;
      steps.push('first ends');
    });
    const others = [ 'second', 'third' ].map(name => queue.run(async () => steps.push(name)));
    assert.equal(queue.isBusy, true);
    held.open();
    await Promise.all([ first, ...others ]);
    assert.deepEqual(steps, [ 'first begins', 'first ends', 'second', 'third' ]);
    assert.equal(queue.isBusy, false);
  });

  it('run also after one that has failed, and resolve to what they do', async () => {
    const queue = new OperationQueue();
    const failing = queue.run(() => Promise.reject(new Error('no')));
    const next = queue.run(async () => 'done');
    await assert.rejects(failing, /no/);
    assert.equal(await next, 'done');
  });

  it('are waited for, also those that come meanwhile', async () => {
    const queue = new OperationQueue();
    const steps: number[] = [];
    queue.run(async () => {
      await undefined;
      void queue.run(async () => steps.push(2));
      steps.push(1);
    }).catch(() => undefined);
    await queue.drain();
    assert.deepEqual(steps, [ 1, 2 ]);
  });
});
