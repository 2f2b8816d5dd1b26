import { strict as assert } from 'node:assert';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { shortHash } from '../../module/record/shortHash';
import { later } from '../support/app';
import { asEggSession, begin, count, PlainStore, read, start, stop, useStore } from '../support/subjects';

asEggSession(subject => {
  describe('events and the log', () => {
    // with this plugin, events show neither the id nor what logValue hides
    const ours = subject.plugin === 'egg-tegg-session';
    const idIn = (id: string) => (ours ? shortHash(id) : id);

    it('session:missed, when the store has no such session', async () => {
      const { app, run } = await start(subject, { boot: useStore(PlainStore) });
      app.mockLog('coreLogger');
      const { id } = (await run(begin)).json();
      (app.sessionStore as PlainStore).records.clear();
      const told = once(app, 'session:missed');
      assert.deepEqual((await run(read)).json(), { n: null });
      const [{ key, value, ctx }] = await told;
      assert.deepEqual([ key, value, ctx.path ], [ idIn(id), undefined, '/run' ]);
      app.expectLog(`[session][missed] key(${idIn(id)})\n`, 'coreLogger');
    });

    for (const logValue of [ true, false ]) {
      const printed = (record: string) => (logValue ? record : '""');
      const told = (record: string) => (ours && !logValue ? undefined : JSON.parse(record));

      it(`session:expired in a store, with logValue: ${logValue}`, async () => {
        const { app, run } = await start(subject, { session: { logValue, maxAge: 5000 }, boot: useStore(PlainStore) });
        app.mockLog('coreLogger');
        const { id } = (await run(begin)).json();
        const record = (app.sessionStore as PlainStore).records.get(id)!;
        const event = once(app, 'session:expired');
        later(6000);
        assert.deepEqual((await run(read)).json(), { n: null });
        const [{ key, value, ctx }] = await event;
        assert.deepEqual([ key, value, ctx.path ], [ idIn(id), told(record), '/run' ]);
        app.expectLog(`[session][expired] key(${idIn(id)}) value(${printed(record)})`, 'coreLogger');
      });

      it(`session:expired in the cookie, with logValue: ${logValue}`, async () => {
        const { app, run } = await start(subject, { session: { logValue, maxAge: 5000 } });
        app.mockLog('coreLogger');
        await run(count);
        const event = once(app, 'session:expired');
        later(6000);
        assert.deepEqual((await run(read)).json(), { n: null });
        const [{ key, value }] = await event;
        assert.equal(key, undefined);
        if (value) delete value._createdAt; // not egg-session's
        assert.deepEqual(value && { ...value, _expire: 0 }, told('{"n":1,"_expire":0,"_maxAge":5000}'));
        app.expectLog(`[session][expired] key(undefined) value(${printed('{"n":1')}`, 'coreLogger');
      });

      it(`session:invalid, with logValue: ${logValue}`, async () => {
        const { app, run } = await start(subject, { session: { logValue, valid: () => false }, boot: useStore(PlainStore) });
        app.mockLog('coreLogger');
        const { id } = (await run(begin)).json();
        const record = (app.sessionStore as PlainStore).records.get(id)!;
        const event = once(app, 'session:invalid');
        assert.deepEqual((await run(read)).json(), { n: null });
        const [{ key, value, ctx }] = await event;
        assert.deepEqual([ key, value, ctx.path ], [ idIn(id), told(record), '/run' ]);
        app.expectLog(`[session][invalid] key(${idIn(id)}) value(${printed(record)})`, 'coreLogger');
      });
    }

    it('nothing is told of a request without a session', async () => {
      const { app, run } = await start(subject, { boot: useStore(PlainStore) });
      app.mockLog('coreLogger');
      await run(read);
      await run(count);
      await run(read);
      app.notExpectLog('[session]', 'coreLogger');
    });

    for (const httpOnly of [ true, false ]) {
      it(`${httpOnly ? 'no' : 'a'} warning at the start with httpOnly: ${httpOnly}`, async () => {
        const { app } = await start(subject, { session: { httpOnly } });
        const { dir, appLogName } = app.config.logger;
        await stop();
        const log = await readFile(path.join(dir, appLogName), 'utf8');
        assert.equal(log.includes(`[${subject.plugin}]: please set \`config.session.httpOnly\` to true. ` +
          'It is very dangerous if session can read by client JavaScript.'), !httpOnly);
      });
    }
  });
});
