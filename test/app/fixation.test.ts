import { strict as assert } from 'node:assert';
import type { Application } from 'egg';
import type { MockApplication } from 'egg-mock';
import type { SessionOptions } from '../..';
import { MapStore } from '../support/MapStore';
import { type Handle, start, stop } from '../support/web';

const WARNING = /WARN .*\[egg-tegg-session\] somebody signed in, and the session has kept its id: .*session fixation\)\. Call `await session\.regenerate\(\)`/;

describe('the warning of session fixation', () => {
  afterEach(stop);

  const boot = async (options: SessionOptions = {}, env = 'local') => {
    const site = await start({ principal: 'userId', store: new MapStore(), ...options }, {
      boot: (app: Application) => Object.assign(app.config, { env }),
    });
    site.app.mockLog('coreLogger');
    return site;
  };
  const warnings = (app: MockApplication) =>
    (app.getLogger('coreLogger') as unknown as { _mockLogs: string[] })._mockLogs.filter(line => WARNING.test(line)).length;

  const visit: Handle = session => {
    session.cart = [];
  };
  const signIn: Handle = session => {
    session.userId = 1;
  };
  const update = (session: any) => session.update((data: any) => {
    data.userId = 1;
  });

  const RISKY: Record<string, Handle> = {
    'a field': signIn,
    'a field, and save()': async session => {
      session.userId = 1;
      await session.save();
    },
    'update()': update,
    'ctx.session = { … }': (_, ctx) => {
      ctx.session = { userId: 1 };
    },
  };
  for (const [ what, handle ] of Object.entries(RISKY)) {
    it(`comes once per application when a session that was there signs in by ${what}`, async () => {
      const { app, client, run } = await boot();
      await run(visit);
      assert.equal(warnings(app), 0);
      await run(handle);
      assert.equal(warnings(app), 1);
      const other = client.another();
      await other.run(visit as never);
      await other.run(handle as never);
      assert.equal(warnings(app), 1);
    });
  }

  it('comes when another principal signs in', async () => {
    const { app, run } = await boot();
    await run(signIn);
    assert.equal(warnings(app), 0);
    await run(session => {
      session.userId = 2;
    });
    assert.equal(warnings(app), 1);
  });

  it('comes for each application of a process', async () => {
    for (let i = 0; i < 2; i++) {
      const { app, run } = await boot();
      await run(visit);
      await run(signIn);
      assert.equal(warnings(app), 1);
    }
  });

  it('never comes in production', async () => {
    const { app, run } = await boot({}, 'prod');
    await run(visit);
    await run(signIn);
    assert.equal(warnings(app), 0);
  });

  const SAFE: Record<string, Handle> = {
    'regenerate() before': async session => {
      await session.regenerate();
      session.userId = 1;
    },
    'regenerate() after': async session => {
      session.userId = 1;
      await session.regenerate();
    },
    'save(), and regenerate() after': async session => {
      session.userId = 1;
      await session.save();
      await session.regenerate();
    },
    'update(), and regenerate() after': async session => {
      await update(session);
      await session.regenerate();
    },
    'regenerate(), and update() after': async session => {
      await session.regenerate();
      await update(session);
    },
    'destroy(), and a new session': async (session, ctx) => {
      await session.destroy();
      ctx.session = { userId: 1 };
    },
  };
  for (const [ what, handle ] of Object.entries(SAFE)) {
    it(`does not come with ${what}`, async () => {
      const { app, run } = await boot();
      await run(visit);
      await run(handle);
      assert.deepEqual((await run(session => ({ userId: session.userId }))).json(), { userId: 1 });
      assert.equal(warnings(app), 0);
    });
  }

  const QUIET: Array<[ what: string, options: SessionOptions, handles: Handle[] ]> = [
    [ 'for a new session', {}, [ signIn, update ]],
    [ 'for one that stays signed in, and then signs out', {}, [ signIn, session => {
      session.n = 1;
    }, signIn, session => {
      delete session.userId;
    } ]],
    [ 'when the session lives in the cookie', { store: null }, [ visit, signIn ]],
    [ 'when nobody knows who is signed in', { principal: null }, [ visit, signIn ]],
    [ 'when nothing was saved', { autoCommit: false }, [ async session => {
      session.n = 1;
      await session.save();
    }, signIn ]],
  ];
  for (const [ what, options, handles ] of QUIET) {
    it(`does not come ${what}`, async () => {
      const { app, run } = await boot(options);
      for (const handle of handles) await run(handle);
      assert.equal(warnings(app), 0);
    });
  }
});
