import { strict as assert } from 'node:assert';
import type { Application } from 'egg';
import type { MockApplication } from 'egg-mock';
import type { SessionEvents } from '../../module/record/events';

const NAMES: Array<keyof SessionEvents> = [
  'session:created', 'session:regenerated', 'session:destroyed', 'session:expired', 'session:invalid', 'session:missed',
  'session:storeError',
  'session:bound', 'session:unproven',
];

export type Told = Record<string, any> & { event: string };

/** Notes each event from now on; `take` gives those since it was last called, once all are told. */
export function listenToEvents(app: MockApplication) {
  let told: Told[] = [];
  for (const name of NAMES) {
    (app as unknown as Application).on(name, event => told.push({ event: name.slice('session:'.length), ...event }));
  }
  return async () => {
    for (let i = 0; i < 3; i++) await new Promise(resolve => setImmediate(resolve));
    const taken = told;
    told = [];
    for (const { ctx } of taken) assert.equal(ctx.app.name, app.name);
    return taken;
  };
}
