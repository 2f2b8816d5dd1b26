import { strict as assert } from 'node:assert';
import { cpSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { localPath } from '../../example/app/module/page/localPath';
import { Example, parse, Visitor } from '../support/example';
import { freePort } from '../support/ports';
import { redisCli, startMysql, startPostgres, startRedis, type TestServer, until } from '../support/servers';

type Postgres = Awaited<ReturnType<typeof startPostgres>>;
type Mysql = Awaited<ReturnType<typeof startMysql>>;

const ROOT = path.join(__dirname, '../..');
const EXAMPLE = path.join(ROOT, 'example');
const readJson = (file: string) => JSON.parse(readFileSync(path.join(ROOT, file), 'utf8'));
const PAGES: Record<string, { en: string; zh: string }> = {
  '/': { en: 'Welcome!', zh: '欢迎！' },
  '/sign-in': { en: 'Sign in', zh: '登录' },
  '/promises': { en: 'Promises', zh: '对比' },
  '/status': { en: 'Status', zh: '状态' },
  '/admin': { en: 'Administration', zh: '管理' },
};

/** Each store of the example: what it calls the place, and the server that it is started on. */
const STORES: Array<{
  STORE: string; WHERE: string; start(): Promise<TestServer>; env(server: TestServer): NodeJS.ProcessEnv; isEmpty(server: TestServer): Promise<boolean>;
}> = [ 'memory', 'redis' ].map(STORE => ({
  STORE, WHERE: STORE === 'redis' ? 'In Redis' : 'In the memory of this process', start: startRedis,
  env: ({ port }: TestServer) => ({ REDIS_URL: `redis://127.0.0.1:${port}` }),
  isEmpty: async ({ port }: TestServer) => await redisCli(port, 'DBSIZE') === '0',
}));
STORES.push({
  STORE: 'postgres', WHERE: 'In PostgreSQL', start: startPostgres, env: server => ({ DATABASE_URL: (server as Postgres).url }),
  async isEmpty(server) {
    const client = new pg.Client((server as Postgres).url);
    await client.connect();
    const { rows } = await client.query('SELECT session_key FROM sessions WHERE session_key <> \'\'');
    await client.end();
    return rows.length === 0;
  },
}, {
  STORE: 'mysql', WHERE: 'In MySQL or MariaDB', start: startMysql, env: server => ({ DATABASE_URL: (server as Mysql).url }),
  isEmpty: async server => await (server as Mysql).sql('SELECT COUNT(*) FROM sessions WHERE session_key <> ""') === '0',
});

describe('example', () => {
  const example = new Example();
  let visitor: Visitor;

  after(() => example.remove());

  it('has each of its texts in Chinese, and no others', () => {
    const files = (readdirSync(path.join(EXAMPLE, 'app'), { recursive: true }) as string[]).filter(file => /\.(html|ts)$/.test(file));
    const sources = files.map(file => readFileSync(path.join(EXAMPLE, 'app', file), 'utf8')).join('\n');
    const chinese = Object.keys(readJson('example/config/locale/zh-CN.json'));
    const texts = [ ...sources.matchAll(/__\('([^']+)'/g) ].map(([ , text ]) => text);
    assert.ok(texts.length > 50);
    assert.deepEqual(texts.filter(text => !chinese.includes(text)), []);
    assert.deepEqual(chinese.filter(text => !sources.includes(`'${text}'`)), []);
  });

  it('depends on this version, and on those that the README teaches, with its overrides', () => {
    const { overrides, dependencies } = readJson('example/package.json');
    const text = readFileSync(path.join(ROOT, 'README.md'), 'utf8');
    const taught = JSON.parse(/"overrides": (\{[^}]*\})/.exec(text)![1]);
    assert.deepEqual(overrides, taught);
    assert.equal(dependencies['egg-tegg-session'], `^${readJson('package.json').version}`);
    for (const [ name, version ] of Object.entries(dependencies)) {
      if (name.startsWith('@eggjs/tegg')) assert.equal(version, taught['@eggjs/tegg-types'], name);
    }
  });

  describe('with sessions in the cookie', () => {
    const files = () => readdirSync(EXAMPLE, { recursive: true });
    const source = files();

    before(async () => {
      visitor = new Visitor(await example.start({ STORE: 'cookie' }));
    });
    beforeEach(() => {
      visitor = visitor.another();
    });
    after(() => example.stop());

    it('says that it starts, and where it runs, and writes nothing next to its source', () => {
      assert.match(example.printed, /^Starting the example\. .*\nThe example runs on http:\S+\n$/);
      assert.deepEqual(files(), source);
    });

    for (const [ route, { en, zh }] of Object.entries(PAGES)) {
      it(`${route} is there in English and Chinese: as the browser asks, and as the visitor chooses`, async () => {
        const browser = visitor.another({ 'accept-language': 'zh-CN,zh;q=0.9,en;q=0.8' });
        for (const [ who, url, title, lang ] of [
          [ visitor, route, en, 'en-us' ], [ browser, route, zh, 'zh-cn' ],
          [ browser, `${route}?locale=en-US`, en, 'en-us' ], [ browser, route, en, 'en-us' ]] as const) {
          const page = await who.visit(url);
          assert.equal(page.status, route === '/admin' ? 403 : 200);
          assert.equal(page.title, title);
          assert.ok(page.text.includes(`<html lang="${lang}">`));
        }
      });
    }

    it('counts the cups of each visitor, and what is in the cart, and says so once', async () => {
      for (const cups of [ 1, 2, 3 ]) assert.equal((await visitor.submit('/cups')).cups, cups);
      assert.equal((await visitor.another().visit('/')).cups, 0);
      const added = await visitor.submit('/cart', { product: 'Oolong' });
      assert.deepEqual([ added.oolong, added.cups, added.flash ], [ 1, 3, 'In your cart: Oolong.' ]);
      assert.equal((await visitor.visit('/')).flash, undefined);
      assert.equal((await visitor.submit('/cart', { product: 'Oolong' })).oolong, 2);
      assert.equal((await visitor.submit('/cart', { product: 'coffee' })).status, 400);
      assert.equal((await visitor.submit('/cart/empty')).oolong, 0);
    });

    it('refuses a wrong password at the form: the name is kept, and the password has the focus', async () => {
      for (const name of [ 'alice', 'nobody', '__proto__' ]) {
        const { status, error, text } = await visitor.submit('/sign-in', { name, password: 'builder' });
        assert.equal(status, 422);
        assert.equal(error, 'The user name or the password is wrong.');
        assert.match(text, new RegExp(`<input id="name" name="name" value="${name}"`));
        assert.match(text, /<input id="password"[^>]*aria-invalid="true" aria-describedby="error" autofocus>/);
      }
      const { text, error } = await visitor.submit('/sign-in', { name: '', password: 'x' });
      assert.equal(error, 'Enter your user name.');
      assert.match(text, /<input id="name"[^>]*aria-invalid="true" aria-describedby="error" autofocus>/);
      assert.equal((await visitor.submit('/sign-in', { name: 'bob' })).error, 'Enter your password.');
    });

    it('escapes a user name, and keeps none in the cookie', async () => {
      const { text } = await visitor.submit('/sign-in', { name: '"><img src=x onerror=a()>', password: 'x' });
      assert.ok(!text.includes('<img'));
      await visitor.submit('/sign-in', { name: 'x'.repeat(10000), password: 'x' });
      assert.ok(visitor.cookies.get('teahouse')!.length < 1000);
    });

    it('signs in with a new cookie, keeps what the session held, and the cookie from before is not signed in', async () => {
      await visitor.submit('/cups');
      const attacker = visitor.copy();
      const page = await visitor.signIn('alice');
      assert.deepEqual([ page.title, page.flash, page.cups ], [ 'Hello, alice!', 'Welcome, alice.', 1 ]);
      assert.notEqual(visitor.cookies.get('teahouse'), attacker.cookies.get('teahouse'));
      assert.equal((await attacker.visit('/')).title, 'Welcome!');
      const out = await visitor.submit('/sign-out');
      assert.deepEqual([ out.title, out.cups, out.flash ], [ 'Welcome!', 0, undefined ]);
    });

    it('answers 403 to a form without its CSRF token', async () => {
      await visitor.signIn('alice');
      for (const route of [ '/sign-in', '/sign-out', '/cups', '/cart', '/devices/end', '/admin/end', '/promises', '/try/sign-out' ]) {
        for (const _csrf of [ '', 'wrong' ]) assert.equal((await visitor.post(route, { _csrf })).status, 403, route);
      }
      assert.equal((await visitor.visit('/')).title, 'Hello, alice!');
    });

    it('devices and administration say what a store would give, and how to start with one', async () => {
      assert.equal((await visitor.visit('/devices')).location, '/sign-in?next=/devices');
      await visitor.signIn('alice');
      for (const route of [ '/devices', '/admin' ]) {
        const { status, text, rows } = await visitor.visit(route);
        assert.deepEqual([ status, rows.length ], [ 200, 0 ]);
        assert.match(text, /This page needs a store[^]*STORE=redis npm start/);
      }
      assert.match((await visitor.visit('/status')).text, /id="where">In the cookie</);
    });

    it('promises: refuses a changed cookie, and says that the others need a store', async () => {
      const before = example.output;
      const { text, verdicts } = await visitor.submit('/promises');
      assert.deepEqual(verdicts, [ 'kept', 'broken' ]);
      assert.match(text, /The first and the third test need a store/);
      assert.equal(text.match(/<dd>Needs a store<\/dd>/g)?.length, 4);
      assert.deepEqual((await visitor.visit('/promises')).verdicts, []);
      assert.equal(example.output, before);
    });

    it('starts from any directory, and processes with the same SESSION_KEYS share the sessions', async () => {
      const first = new Visitor(await example.start({ STORE: 'cookie', SESSION_KEYS: 'a key for two' }, example.tmp));
      await first.signIn('bob');
      const second = new Visitor(await example.start({ STORE: 'cookie', SESSION_KEYS: 'a key for two' }), {}, first.cookies);
      assert.equal((await second.visit('/')).title, 'Hello, bob!');
      assert.equal((await new Visitor(visitor.port, {}, first.cookies).visit('/')).title, 'Welcome!');
    });
  });

  for (const { STORE, WHERE, start, env, isEmpty } of STORES) {
    describe(`with STORE=${STORE}`, () => {
      let server: TestServer;
      let laptop: Visitor;
      let phone: Visitor;
      let stranger: Visitor;

      before(async () => {
        server = await start();
        visitor = new Visitor(await example.start({ STORE, ...env(server) }));
      });
      beforeEach(async () => {
        laptop = visitor.another({ 'user-agent': 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0' });
        phone = visitor.another({ 'user-agent': 'Mozilla/5.0 (Linux; Android 15) Chrome/140.0.0.0 Mobile Safari/537.36' });
        stranger = visitor.another();
        await laptop.signIn('alice');
        await laptop.submit('/devices/end-others');
        await phone.signIn('alice');
        await stranger.signIn('bob');
      });
      after(async () => {
        await example.stop();
        await server.stop();
      });

      it('keeps sessions there: a copied cookie is worth nothing after sign-in, or after sign-out', async () => {
        const guest = visitor.another();
        await guest.submit('/cups');
        const planted = guest.copy();
        assert.equal((await guest.signIn('bob')).cups, 1);
        assert.deepEqual([ (await planted.visit('/')).title, (await planted.visit('/')).cups ], [ 'Welcome!', 0 ]);
        const copy = laptop.copy();
        assert.equal((await copy.visit('/')).title, 'Hello, alice!');
        await laptop.submit('/sign-out');
        assert.equal((await copy.visit('/')).title, 'Welcome!');
        assert.equal(await isEmpty(server), STORE === 'memory');
      });

      it('lists the devices of a user, and ends one of them, or this one', async () => {
        const { rows } = await laptop.visit('/devices');
        assert.deepEqual(rows.map(({ name, current }) => ({ name, current })).sort((a, b) => a.name.localeCompare(b.name)),
          [{ name: 'Chrome, Android', current: false }, { name: 'Firefox, Linux', current: true }]);
        const ids = Object.fromEntries(rows.map(({ current, value }) => [ current ? 'own' : 'other', value ]));

        assert.equal((await stranger.submit('/devices/end', { id: ids.other })).flash, 'The device had already been signed out.');
        assert.equal((await phone.visit('/')).title, 'Hello, alice!');
        const [ , _csrf ] = /name="_csrf" value="(.*?)"/.exec((await phone.visit('/')).text)!;
        assert.equal((await laptop.submit('/devices/end', { id: ids.other })).flash, 'The device is signed out.');
        assert.match((await phone.post('/cups', { _csrf })).text, /<h1>This form has expired<\/h1>/);
        assert.equal((await phone.visit('/')).title, 'Welcome!');
        assert.equal((await laptop.submit('/devices/end', { id: ids.own })).title, 'Welcome!');
      });

      it('signs out everywhere else', async () => {
        const { flash, rows } = await laptop.submit('/devices/end-others');
        assert.equal(flash, 'Devices signed out: 1.');
        assert.deepEqual(rows.map(({ name }) => name), [ 'Firefox, Linux' ]);
        assert.equal((await phone.visit('/')).title, 'Welcome!');
      });

      it('an administrator ends the sessions of a user, and nobody else does', async () => {
        assert.deepEqual((await laptop.visit('/admin')).rows.map(({ value }) => value), [ 'alice', 'bob' ]);
        assert.equal((await stranger.visit('/admin')).status, 403);
        assert.equal((await stranger.submit('/admin/end', { name: 'alice' })).status, 403);
        assert.equal((await phone.visit('/')).title, 'Hello, alice!');
        assert.match((await laptop.submit('/admin/end', { name: 'bob' })).flash!, /^Sessions of bob ended: [1-9]\d*\.$/);
        assert.equal((await stranger.visit('/')).title, 'Welcome!');
      });

      it('counts ten cups of ten requests at once, one session', async () => {
        const [ , _csrf ] = /name="_csrf" value="(.*?)"/.exec((await laptop.visit('/')).text)!;
        await Promise.all(Array.from({ length: 10 }, () => laptop.copy().post('/cups', { _csrf })));
        assert.equal((await laptop.visit('/')).cups, 10);
      });

      it('promises: keeps all three, and egg-session none', async () => {
        const { verdicts } = await stranger.submit('/promises');
        assert.deepEqual(verdicts, [ 'kept', 'broken', 'kept', 'broken', 'kept', 'broken' ]);
      });

      it('says where sessions are, and no secret', async () => {
        const { text } = await stranger.visit('/status');
        assert.ok(text.includes(`id="where">${WHERE}<`));
        assert.match(text, /<code>absoluteMaxAge<\/code><\/dt>\s*<dd>8 hours/);
        assert.ok(!text.includes('for development only'));
      });
    });
  }

  it('without egg-session/, promises says that there is nothing to compare with', async () => {
    const copy = path.join(example.tmp, 'copy');
    cpSync(EXAMPLE, path.join(copy, 'example'), { recursive: true, filter: file => path.basename(file) !== 'egg-session' });
    for (const file of [ 'scripts/example.js', 'test/support/transpile.js', 'tsconfig.json' ]) cpSync(path.join(ROOT, file), path.join(copy, file));
    symlinkSync(path.join(ROOT, 'node_modules'), path.join(copy, 'node_modules'));
    const alone = new Visitor(await example.start({ STORE: 'memory' }, copy, path.join(copy, 'scripts/example.js')));
    assert.match((await alone.visit('/promises')).text, /id="alone">/);
    assert.deepEqual((await alone.submit('/promises')).verdicts, [ 'kept', 'kept', 'kept' ]);
    await example.stop();
  });

  it('in an outage of Redis, each page says so, in either language, and how it is; /status works, and all others do after it', async () => {
    const redis = await startRedis();
    const visitor = new Visitor(await example.start({ STORE: 'redis', REDIS_URL: `redis://127.0.0.1:${redis.port}` }), { accept: 'text/html' });
    await visitor.signIn('alice');
    assert.match((await visitor.visit('/status')).text, /id="state">up</);
    const restart = await redis.restart('SIGKILL');
    assert.match((await visitor.another().visit('/status')).text, /id="state">down</); // before anybody else has asked for a session

    for (const [ locale, title ] of [[ 'en-US', 'The session store cannot be reached' ], [ 'zh-CN', '无法连接 session 存储' ]]) {
      for (const route of [ '/', '/sign-in', '/devices', '/promises', '/admin' ]) {
        const { status, headers, text } = await visitor.request(`${route}?locale=${locale}`, { headers: { accept: 'text/html' } });
        assert.deepEqual([ status, parse(text).title, headers['retry-after'] ], [ 503, title, '1' ], route);
        assert.match(headers['content-type']!, /^text\/html/);
        assert.match(text, /href="\/status"/);
        assert.doesNotMatch(text, /ECONNREFUSED|max retries|Service Unavailable/);
      }
      for (const who of [ visitor, visitor.another() ]) {
        const page = await who.visit(`/status?locale=${locale}`);
        assert.deepEqual([ page.status, page.title ], [ 200, locale === 'zh-CN' ? '状态' : 'Status' ]);
        assert.match(page.text, locale === 'zh-CN' ? /id="state">故障</ : /id="state">down</);
        assert.match(page.text, /id="where">(In )?Redis</);
      }
    }
    assert.deepEqual((await visitor.request('/', { headers: { accept: 'application/json' } })).status, 503);
    assert.doesNotMatch((await visitor.request('/', { headers: { accept: 'application/json' } })).text, /<html/);

    await restart();
    await until('the store is asked again', async () => /id="state">正常</.test((await visitor.visit('/status')).text));
    assert.equal((await visitor.visit('/')).status, 200);
    await example.stop();
    await redis.stop();
  });

  describe('when a page cannot be shown', () => {
    before(async () => {
      visitor = new Visitor(await example.start(), { accept: 'text/html' });
    });
    beforeEach(() => {
      visitor = visitor.another();
    });
    after(() => example.stop());

    for (const [ locale, missing, refused, failed ] of [
      [ 'en-US', 'Page not found', 'The request was refused', 'Something went wrong' ],
      [ 'zh-CN', '页面不存在', '请求被拒绝', '出错了' ],
    ]) {
      it(`404, 400 and 500 are pages of the layout, with a way back, in ${locale}`, async () => {
        const inLayout = ({ status, text, ...seen }: Awaited<ReturnType<Visitor['visit']>>) => {
          assert.match(text, new RegExp(`<html lang="${locale.toLowerCase()}">[^]*<nav[^]*<main[^]*<a href="/">`));
          return [ status, seen.title ];
        };
        await visitor.visit(`/?locale=${locale}`);
        for (const route of [ '/nothing', '/public/nothing.png', '/try/nothing' ]) assert.deepEqual(inLayout(await visitor.visit(route)), [ 404, missing ]);
        assert.deepEqual(inLayout(await visitor.submit('/cart', { product: 'coffee' })), [ 400, refused ]);

        const { output } = example;
        example.loseTmp();
        const page = await visitor.submit('/promises');
        example.restoreTmp();
        assert.deepEqual(inLayout(page), [ 500, failed ]);
        assert.doesNotMatch(page.text, /has ended with|node_modules|EggSession/);
        assert.match(example.output.slice(output.length), /nodejs\.Error: the application with egg-session has ended with 1/);
      });
    }

    it('works again after that', async () => {
      assert.equal((await visitor.submit('/promises')).verdicts.length, 6);
    });

    it('a script gets no page', async () => {
      const { status, text } = await visitor.request('/nothing', { headers: { accept: 'application/json' } });
      assert.deepEqual([ status, JSON.parse(text) ], [ 404, { message: 'Not Found' }]);
    });

    it('no link leads to another site, whatever the address is', async () => {
      for (const route of [ '//evil.example/', '/\\evil.example', '//evil.example/%2e%2e' ]) {
        const { status, text } = await visitor.visit(route);
        assert.equal(status, 404);
        assert.doesNotMatch(text, /href="[^"]*evil/);
      }
    });
  });

  describe('sign-in', () => {
    before(async () => {
      visitor = new Visitor(await example.start());
    });
    beforeEach(() => {
      visitor = visitor.another();
    });
    after(() => example.stop());

    it('returns to the page that asked for it, also after a wrong password, and in the other language', async () => {
      assert.equal((await visitor.visit('/devices')).location, '/sign-in?next=/devices');
      const form = await visitor.visit('/sign-in?next=/devices');
      assert.match(form.text, /name="next" value="\/devices"/);
      assert.match(form.text, /href="\/sign-in\?next=%2Fdevices&amp;locale=zh-CN"/);
      const wrong = await visitor.submit('/sign-in', { name: 'bob', password: 'x', next: '/devices' });
      assert.match(wrong.text, /name="next" value="\/devices"/);
      assert.equal((await visitor.submit('/sign-in', { name: 'bob', password: 'builder', next: '/devices' })).location, '/devices');
      assert.match((await visitor.another().visit('/promises')).text, /href="\/sign-in\?next=%2Fpromises"/);
    });

    it('returns to paths of this site only', async () => {
      for (const [ next, location ] of [
        [ '/admin?a=b&c', '/admin?a=b&c' ], [ '/devices/../status#x', '/status' ], [ '', '/' ], [ 'devices', '/' ],
        [ '//evil.example', '/' ], [ '//evil.example/admin', '/' ], [ '/\\evil.example', '/' ], [ '\\\\evil.example', '/' ], [ '/\t/evil.example', '/' ], [ '\t//evil.example', '/' ],
        [ 'https:', '/' ], [ 'https://evil.example', '/' ], [ 'https:evil.example', '/' ], [ 'http:/evil.example', '/' ], [ '//', '/' ],
        [ '/.//evil.example', '/' ], [ '/x/..//evil.example', '/' ], [ '/%2e//evil.example', '/' ], [ '//here.invalid@evil.example', '/' ], [ 'data:text/html,x', '/' ],
      ]) {
        assert.equal(localPath(next), location, next); // Egg's redirect has a check of its own
        const { text } = await visitor.visit(`/sign-in?${new URLSearchParams({ next })}`);
        const [ , _csrf ] = /name="_csrf" value="(.*?)"/.exec(text)!;
        const { status, headers } = await visitor.post('/sign-in', { name: 'bob', password: 'builder', next, _csrf });
        assert.deepEqual([ status, headers.location ], [ 303, location ], next);
        visitor = visitor.another();
      }
    });
  });

  it('says what it is waiting for at once, and again while it goes on; who comes meanwhile is answered', async () => {
    for (;;) {
      const PORT = String(await freePort());
      const child = example.launch({ PORT });
      await example.until(child, /^Starting the example\. .*\n/);
      child.kill('SIGSTOP'); // as on a machine that has other work
      await sleep(3000);
      const wasEarly = !example.output.includes('runs on');
      const answer = new Visitor(Number(PORT)).visit('/');
      child.kill('SIGCONT');
      assert.equal((await answer).title, 'Welcome!');
      const output = await example.until(child, /runs on/);
      await example.stop();
      if (!wasEarly) continue; // it was faster than this process
      assert.match(output, /^ {2}\d+ s: loading [a-zA-Z ]+, \d+ files so far$/m);
      return;
    }
  });

  it('a REDIS_URL that is none stops it, and is not shown', async () => {
    for (const REDIS_URL of [ '127.0.0.1', 'localhost:6379', 'http://:secret@127.0.0.1', 'redis://' ]) {
      await assert.rejects(example.start({ STORE: 'redis', REDIS_URL }), (err: Error) => /REDIS_URL is not the URL of a Redis server; it must be like redis:/.test(err.message) && !err.message.includes('secret'));
    }
  });

  it('a DATABASE_URL of another kind stops it, and is not shown', async () => {
    for (const [ STORE, DATABASE_URL ] of [
      [ 'postgres', 'mysql://:secret@127.0.0.1/shop' ], [ 'mysql', 'secret@127.0.0.1' ], [ 'mysql', 'mysql://' ],
    ]) {
      await assert.rejects(example.start({ STORE, DATABASE_URL }), (err: Error) =>
        new RegExp(`DATABASE_URL is not the URL of a database for STORE=${STORE}; it must be like ${STORE}:`).test(err.message) && !err.message.includes('secret@'));
    }
  });

  it('says that a port is taken, and how to choose another', async () => {
    const PORT = String(await example.start());
    await assert.rejects(example.start({ PORT }), new RegExp(`^Error: the example ended early: Port ${PORT} is taken\\. Choose another one: PORT=8080 npm start\n$`));
    await example.stop();
  });

  it('a PORT that is none stops it', async () => {
    for (const PORT of [ 'http', '70000', '-1', '80.5' ]) await assert.rejects(example.start({ PORT }), new RegExp(`: PORT is ${PORT}; it must be a number from 0 to 65535\n$`));
  });

  it('keeps sessions in memory by default, so that all of it can be tried', async () => {
    const visitor = new Visitor(await example.start());
    assert.match((await visitor.visit('/status')).text, /id="where">In the memory of this process</);
    await example.stop();
  });

  it('a STORE that it does not have stops it', async () => {
    await assert.rejects(example.start({ STORE: 'redid' }), /STORE is redid; it must be cookie, memory, redis, postgres or mysql/);
  });
});
