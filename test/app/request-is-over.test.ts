import { strict as assert } from 'node:assert';
import { AsyncResource } from 'node:async_hooks';
import { once } from 'node:events';
import http from 'node:http';
import { setImmediate as turn } from 'node:timers/promises';
import type { Context } from 'egg';
import { BackgroundTaskHelper } from '@eggjs/tegg';
import type { Session } from '../..';
import type { Client } from '../support/app';
import { MODES, start, stop } from '../support/web';

const OVER = /^Error: \[egg-tegg-session\] the session was used after its request had ended, .*ctx\.runInBackground\(\) or BackgroundTaskHelper/;

const signIn = (client: Client, userId: number) => client.run(session => {
  session.userId = userId;
});

/** What a callback reads as the user's id: that, or why it can't. */
const look = (session: Session & Record<string, any>) => {
  try {
    return session.userId;
  } catch (err) {
    return String(err);
  }
};

const isOver = async (ctx: Context) => {
  while (!ctx.res.writableFinished || !Reflect.get(ctx.teggContext, 'destroyed')) await turn();
};

for (const [ mode, given ] of MODES) {
  describe(`once a request has ended, with ${mode} in the cookie`, () => {
    afterEach(stop);

    it('what it left behind can\'t use its session any more', async () => {
      const { client } = await start(given());
      await signIn(client, 1);
      let context!: Context;
      let uses: Array<() => unknown> = [];
      await client.run((session, ctx) => {
        context = ctx;
        uses = [
          () => session.userId,
          () => Object.assign(session, { userId: 2 }),
          () => delete session.userId,
          () => 'userId' in session,
          () => ({ ...session }),
          () => session.toJSON(),
          () => session.pop('userId'),
          () => session.isNew,
          () => session.save(),
          () => session.manuallyCommit(),
          () => session.update(data => Object.assign(data, { userId: 2 }) && undefined),
          () => session.regenerate(),
          () => session.destroy(),
        ].map(use => AsyncResource.bind(use));
      });
      await isOver(context);
      for (const use of uses) await assert.rejects(async () => use(), OVER, String(use));
      assert.deepEqual((await client.run(session => ({ ...session }))).json(), { userId: 1 });
    });

    it('a timer that it started sees it until then, and nobody afterwards', async () => {
      const { client } = await start(given());
      const [ alice, bob ] = [ client, client.another() ];
      await signIn(alice, 1);
      await signIn(bob, 2);
      const seen: unknown[] = [];
      let timer: NodeJS.Timeout | undefined;
      // as a lazy service does, with the first request that needs it
      await alice.run(async session => {
        await new Promise<void>(resolve => {
          timer = setInterval(() => {
            seen.push(look(session));
            resolve();
          }, 1);
        });
      });
      try {
        assert.equal(seen[0], 1);
        while (typeof seen.at(-1) === 'number') await turn();
        const from = seen.length;
        const own = await bob.run(async session => {
          while (seen.length < from + 5) await turn();
          return { userId: session.userId };
        });
        assert.deepEqual(own.json(), { userId: 2 });
        for (const text of seen.slice(from - 1)) assert.match(text as string, OVER);
        assert.deepEqual([ ...new Set(seen.slice(0, from - 1)) ], [ 1 ]);
      } finally {
        clearInterval(timer);
      }
    });

    it('a batch that it opened does not show its session to the others that are in it', async () => {
      const { client } = await start(given());
      const [ alice, bob ] = [ client, client.another() ];
      await signIn(alice, 1);
      await signIn(bob, 2);
      const jobs: Array<() => unknown> = [];
      let runBatch!: () => unknown[];
      let first!: Context;
      await alice.run((session, ctx) => {
        first = ctx;
        jobs.push(() => look(session));
        runBatch = AsyncResource.bind(() => jobs.map(job => job()));
      });
      await isOver(first);
      const results = await bob.run(session => {
        jobs.push(() => look(session));
        jobs.push(AsyncResource.bind(() => look(session)));
        return { results: runBatch() };
      });
      const [ ofAlice, ofBob, bound ] = results.json().results;
      assert.match(ofAlice, OVER);
      assert.match(ofBob, OVER);
      assert.equal(bound, 2);
    });

    for (const [ what, run ] of [
      [ 'ctx.runInBackground()', (ctx, work) => ctx.runInBackground(work) ],
      [ 'BackgroundTaskHelper', async (ctx, work) => (await ctx.getEggObject(BackgroundTaskHelper)).run(work) ],
    ] as Array<[ string, (ctx: Context, work: () => Promise<void>) => unknown ]>) {
      it(`work of ${what} has it as long as that runs`, async () => {
        const { client } = await start(given());
        await signIn(client, 1);
        const seen: unknown[] = [];
        let context!: Context;
        let goOn!: () => void;
        const gate = new Promise<void>(resolve => {
          goOn = resolve;
        });
        let done!: () => void;
        const isDone = new Promise<void>(resolve => {
          done = resolve;
        });
        let later!: () => void;
        await client.run(async (session, ctx) => {
          context = ctx;
          await run(ctx, async () => {
            await gate;
            seen.push(look(session));
            later = AsyncResource.bind(() => seen.push(look(session)));
            done();
          });
        });
        while (!context.res.writableFinished) await turn();
        goOn();
        await isDone;
        await isOver(context);
        later();
        assert.equal(seen[0], 1);
        assert.match(String(seen[1]), OVER);
      });
    }

    it('its client going away is not its end', async () => {
      const { client } = await start(given());
      await signIn(client, 1);
      let goOn!: () => void;
      let context!: Context;
      let bound!: () => unknown;
      const gate = new Promise<void>(resolve => {
        goOn = resolve;
      });
      const answered = new Promise<unknown>(resolve => {
        const gone = client.tryRun(async (session, ctx) => {
          context = ctx;
          bound = AsyncResource.bind(() => look(session));
          ctx.req.socket.destroy();
          await gate;
          resolve(look(session));
          session.n = 1;
        });
        gone.catch(() => undefined);
      });
      while (!context?.res.destroyed) await turn();
      goOn();
      assert.equal(await answered, 1);
      while (!Reflect.get(context.teggContext, 'destroyed')) await turn();
      while (typeof bound() === 'number') await turn();
      assert.match(String(bound()), OVER);
    });
  });
}

describe('two users on one connection, as a proxy has them', () => {
  afterEach(stop);

  for (const [ mode, given ] of MODES) {
    it(`each have their own session, with ${mode} in the cookie`, async () => {
      const { client } = await start(given());
      const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
      const users = await Promise.all([ 1, 2 ].map(async userId => {
        const browser = client.another();
        await signIn(browser, userId);
        return { cookie: browser.cookies.header(new URL('http://127.0.0.1/')) };
      }));
      let path = '';
      await client.another().run((session, ctx) => {
        path = ctx.url;
        return { userId: session.userId ?? null };
      });
      const ports = new Set<number>();
      const ask = async (headers: http.OutgoingHttpHeaders) => {
        const request = http.get({ host: '127.0.0.1', port: client.port, path, agent, headers });
        const [ response ] = await once(request, 'response') as [ http.IncomingMessage ];
        ports.add(response.socket.localPort!);
        let text = '';
        for await (const chunk of response.setEncoding('utf8')) text += chunk;
        return JSON.parse(text).userId;
      };
      const seen: unknown[] = [];
      for (let i = 0; i < 10; i++) {
        for (const { cookie } of users) seen.push(await ask({ cookie }));
        seen.push(await ask({}));
      }
      assert.deepEqual(seen, Array(10).fill([ 1, 2, null ]).flat());
      assert.equal(ports.size, 1);
      agent.destroy();
    });
  }
});
