import { strict as assert } from 'node:assert';
import { Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import type { Context } from 'egg';
import mm from 'egg-mock';
import { RunningRequests } from '../../module/request/RunningRequests';
import { holdTimers } from '../support/concurrent';

/** A request; one that lasts as long as its connection, when it is an upgrade. */
const request = (upgrade = false) => ({ req: { upgrade, socket: new Socket(), headers: {} }, res: { headersSent: false } }) as unknown as Context;

describe('a closing application', () => {
  afterEach(() => mm.restore());

  /** What closes, with requests that note when they are committed. */
  function site({ commitsItself = true, commit = async () => undefined as void } = {}) {
    const running = new RunningRequests();
    let commits = 0;
    const begin = (ctx: Context) => {
      running.begin(ctx, {
        commitsItself,
        commit: () => {
          commits++;
          return commit();
        },
      });
      return ctx;
    };
    const close = () => {
      let settled = false;
      const { result, timers } = holdTimers(() => running.settled().then(() => {
        settled = true;
      }));
      const isSettled = async () => {
        await turn();
        return settled;
      };
      return { closed: result, timers, isSettled };
    };
    return { running, begin, close, commits: () => commits };
  }

  it('waits for nothing when there is no request', async () => {
    const { closed, timers } = site().close();
    await closed;
    assert.deepEqual(timers, []);
  });

  it('waits for all of its requests, and no longer', async () => {
    const { running, begin, close, commits } = site();
    const [ one, two ] = [ begin(request()), begin(request()) ];
    const { closed, isSettled } = close();
    assert.equal(await isSettled(), false);
    running.end(one);
    assert.equal(await isSettled(), false);
    running.end(two);
    await closed;
    assert.equal(commits(), 0, 'they do it themselves');
  });

  it('waits for 4 s at most', async () => {
    const { begin, close } = site();
    begin(request());
    const { closed, timers, isSettled } = close();
    assert.deepEqual(timers.map(({ ms }) => ms), [ 4000 ]);
    assert.equal(await isSettled(), false);
    timers[0].fire();
    await closed;
  });

  it('saves what those have changed that last as long as their connection, and does not wait for their end', async () => {
    const { begin, close, commits } = site();
    begin(request(true));
    await close().closed;
    assert.equal(commits(), 1);
  });

  it('waits for the others beside them', async () => {
    const { running, begin, close } = site();
    begin(request(true));
    const other = begin(request());
    const { closed, isSettled } = close();
    assert.equal(await isSettled(), false);
    running.end(other);
    await closed;
  });

  it('saves nothing under autoCommit: false', async () => {
    const { begin, close, commits } = site({ commitsItself: false });
    begin(request(true));
    await close().closed;
    assert.equal(commits(), 0);
  });

  it('goes on when one of them can\'t be saved', async () => {
    const { begin, close } = site({ commit: () => Promise.reject(new Error('no')) });
    const errors: unknown[] = [];
    begin(Object.assign(request(true), { coreLogger: { error: (err: unknown) => errors.push(err) } }));
    await close().closed;
    assert.match(String(errors), /no/);
  });
});
