import { strict as assert } from 'node:assert';
import mm from 'egg-mock';
import { Deadlines } from '../../module/store/Deadlines';
import { holdTimers } from '../support/concurrent';

describe('deadlines', () => {
  let now: number;
  beforeEach(() => {
    now = 1_000_000;
    mm(performance, 'now', () => now);
  });
  afterEach(() => mm.restore());

  const turn = () => new Promise(resolve => {
    setImmediate(resolve);
  });

  /** A call that begins now, and the timers that this sets. */
  function begin(deadlines: Deadlines) {
    const errors: Error[] = [];
    const call = { start: now, reject: (err: Error) => errors.push(err) };
    const { timers } = holdTimers(() => deadlines.add(call));
    return { call, errors, timers };
  }

  it('end a call when its time is over', async () => {
    const { errors, timers } = begin(new Deadlines(50));
    assert.deepEqual(timers.map(({ ms }) => ms), [ 50 ]);
    now += 50;
    timers[0].fire();
    await turn();
    assert.match(String(errors), /has not answered for 50 ms \(config\.session\.storeTimeout\)$/);
  });

  it('let an answer through that has come while the process was busy', async () => {
    const deadlines = new Deadlines(50);
    const { call, errors, timers } = begin(deadlines);
    now += 80; // the timer could not run, nor could what reads from the socket, which comes after timers
    timers[0].fire();
    deadlines.delete(call);
    await turn();
    assert.deepEqual(errors, []);
  });

  it('wait for the next call once the first has been answered, with the time that is left', async () => {
    const deadlines = new Deadlines(50);
    const first = begin(deadlines);
    now += 20;
    const second = begin(deadlines);
    assert.deepEqual(second.timers, [], 'one timer watches all');
    deadlines.delete(first.call);
    now += 30;
    const fired = holdTimers(() => {
      mm(globalThis, 'setImmediate', (run: () => void) => run());
      first.timers[0].fire();
    });
    assert.deepEqual(fired.timers.map(({ ms }) => ms), [ 20 ]);
    assert.deepEqual([ ...first.errors, ...second.errors ], []);
  });
});
