import { strict as assert } from 'node:assert';
import { EventEmitter } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import type { Application } from 'egg';
import { type SessionEvents, tell } from '../../module/record/events';

const site = () => {
  const app = new EventEmitter() as unknown as Application;
  const lines: string[] = [];
  const ctx = { coreLogger: { error: (line: string, ...args: unknown[]) => lines.push(`${line} ${args}`) } };
  return { app, lines, event: { ctx, key: 'abc' } as unknown as SessionEvents['session:created'] };
};

describe('an event', () => {
  it('is told once what is under way is done', async () => {
    const { app, event } = site();
    const told: unknown[] = [];
    app.on('session:created', each => told.push(each));
    tell(app, 'session:created', event);
    await Promise.resolve();
    assert.deepEqual(told, []);
    await turn();
    assert.deepEqual(told, [ event ]);
  });

  it('reaches the other listeners when one of them fails, and the log has that', async () => {
    const { app, lines, event } = site();
    const told: string[] = [];
    app.on('session:created', () => {
      throw new Error('at once');
    });
    app.on('session:created', async () => {
      throw new Error('later');
    });
    app.on('session:created', () => told.push('told'));
    tell(app, 'session:created', event);
    await turn();
    assert.deepEqual(told, [ 'told' ]);
    assert.equal(lines.length, 2);
    assert.match(lines[0], /a listener of %s has failed.* session:created,Error: at once/);
    assert.match(lines[1], /Error: later/);
  });
});
