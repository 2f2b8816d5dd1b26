import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import type { Browser, BrowserContextOptions, Page, Route } from 'playwright-core';
import { follow, openPage, signIn, startChromium } from '../support/chromium';
import { Example } from '../support/example';
import { Problems } from '../support/problems';
import { startRedis, type TestServer, until } from '../support/servers';

const AXE = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8');
/** Where the focus is to be seen, in a page. */
const FOCUS = `(({ outlineStyle: style, outlineWidth: width }, { left, right }) => ({ style, width, left, right }))(
  getComputedStyle(document.activeElement), document.activeElement.getBoundingClientRect())`;
/** What axe has to say about a page that has it. */
const VIOLATIONS = `axe.run().then(({ violations }) => violations.flatMap(({ id, nodes }) =>
  nodes.map(({ html, failureSummary }) => [ id, html, failureSummary ].join(' '))))`;
/** What the page of promises says of its tests that run. */
const PROGRESS = '({ disabled: document.querySelector("#try button").disabled, text: document.querySelector("#try [role=status]").innerText })';
const MINUTE = 60;
/** The menu entries of a page that are alone on their line. */
const ALONE = `(entries => entries.filter(entry => entries.filter(other => other.offsetTop === entry.offsetTop).length === 1).map(entry => entry.innerText))(
  [ ...document.querySelectorAll('nav a') ])`;
const PHONE = { userAgent: 'Mozilla/5.0 (Linux; Android 15) Chrome/140.0.0.0 Mobile Safari/537.36', viewport: { width: 390, height: 780 } };

describe('the example with Redis, in Chromium', () => {
  const example = new Example();
  const problems = new Problems();
  let redis: TestServer;
  let browser: Browser;
  let baseURL: string;
  let page: Page;

  const open = async (options: BrowserContextOptions = {}) => {
    const opened = await openPage(browser, { baseURL, ...options });
    problems.watch(opened.context());
    return opened;
  };
  const title = (of = page) => of.locator('h1').innerText();
  const focused = (of = page) => of.locator(':focus');
  const click = (selector: string, of = page) => follow(of, selector);
  const submit = (action: string, of = page) => click(`form[action="${action}"] button`, of);
  /** Signs out everywhere else, where there is somewhere else. */
  const submitOthers = async () => {
    const phone = await open(PHONE);
    await signIn(phone, 'alice');
    await page.goto('/devices');
    await submit('/devices/end-others');
  };
  const expectRefusal = (status: number) => assert.match(problems.take().join(), new RegExp(`^[^,]*status of ${status} [^,]*$`));

  /** axe finds nothing on the page, in light and dark, nothing is cut off, and no menu entry is alone on a line. */
  const expectAccessible = async (name: string) => {
    await page.evaluate(AXE);
    for (const colorScheme of [ 'light', 'dark' ] as const) {
      for (const width of [ 1280, 390, 360, 320 ]) {
        await page.emulateMedia({ colorScheme });
        await page.setViewportSize({ width, height: 780 });
        assert.deepEqual(await page.evaluate(VIOLATIONS), [], `${name}, ${colorScheme}, ${width}`);
        assert.equal(await page.evaluate('document.documentElement.scrollWidth'), width, name);
        assert.deepEqual(await page.evaluate(ALONE), [], `${name}, ${width}`);
      }
    }
  };

  before(async () => {
    redis = await startRedis();
    baseURL = `http://127.0.0.1:${await example.start({ STORE: 'redis', REDIS_URL: `redis://127.0.0.1:${redis.port}` })}`;
    browser = await startChromium();
  });
  beforeEach(async () => {
    page = await open();
  });
  afterEach(async () => {
    await Promise.all(browser.contexts().map(context => context.close()));
    assert.deepEqual(problems.take(), []);
  });
  after(async () => {
    await browser?.close();
    await example.remove();
    await redis?.stop();
  });

  it('signs in and out; a wrong password is an error at the form, with the name kept, and the focus on the password', async () => {
    await page.goto('/sign-in');
    await page.fill('#name', 'alice');
    await page.fill('#password', 'rabbit');
    await submit('/sign-in');
    assert.equal(await page.inputValue('#name'), 'alice');
    assert.equal(await page.inputValue('#password'), '');
    assert.equal(await focused().getAttribute('aria-describedby'), 'error');
    expectRefusal(422);

    await page.keyboard.type('wonderland'); // where the focus is
    await Promise.all([ page.waitForEvent('load'), page.keyboard.press('Enter') ]);
    assert.equal(await title(), 'Hello, alice!');
    await submit('/sign-out');
    assert.equal(await title(), 'Welcome!');
  });

  it('the cookie is HttpOnly and Lax, and lives for half an hour; a script does not see it', async () => {
    await signIn(page, 'alice');
    const cookie = (await page.context().cookies()).find(each => each.name === 'teahouse')!;
    const { httpOnly, sameSite, secure, path, domain, expires } = cookie;
    assert.deepEqual({ httpOnly, sameSite, secure, path, domain },
      { httpOnly: true, sameSite: 'Lax', secure: false, path: '/', domain: '127.0.0.1' });
    const lifetime = expires - Date.now() / 1000;
    assert.ok(lifetime > 25 * MINUTE && lifetime <= 30 * MINUTE, `it lives for ${lifetime} seconds`);
    assert.ok(!(await page.evaluate<string>('document.cookie')).includes('teahouse'));
  });

  it('lists both devices; one that is signed out from the other is out at its next click', async () => {
    const phone = await open(PHONE);
    await signIn(page, 'alice');
    await submitOthers();
    await signIn(phone, 'alice');
    await page.goto('/devices');
    assert.deepEqual((await page.locator('td.name').allInnerTexts()).map(text => text.split(' ')[0]), [ 'Chrome,', 'Chrome,' ]);
    assert.equal(await page.locator('tr', { has: page.locator('.badge') }).count(), 1);

    await click('tbody tr:has-text("Android") button');
    assert.equal(await page.locator('.flash').innerText(), 'The device is signed out.');
    await click('nav a >> text=Devices', phone);
    assert.equal(await title(phone), 'Sign in');
    await page.goto('/');
    assert.equal(await title(), 'Hello, alice!');
  });

  it('signs out everywhere else; a form of a page from before says that it has expired, in either language', async () => {
    const phone = await open(PHONE);
    await signIn(phone, 'alice');
    await signIn(page, 'alice');
    await submitOthers();
    assert.match(await page.locator('.flash').innerText(), /^Devices signed out: [1-9]/);
    assert.deepEqual(await page.locator('tbody .badge').allInnerTexts(), [ 'this device' ]);
    await submit('/cups', phone);
    assert.equal(await title(phone), 'This form has expired');
    expectRefusal(403);
    await click('text=中文', phone);
    assert.equal(await title(phone), '欢迎！');
  });

  it('the back button shows nothing of somebody who has signed out', async () => {
    await signIn(page, 'alice');
    await page.goto('/devices');
    await submit('/sign-out');
    await page.goBack({ waitUntil: 'commit' }); // of a page that was kept there is no load
    assert.equal(await title(), 'Sign in');
    await page.goBack({ waitUntil: 'commit' });
    assert.equal(await title(), 'Welcome!');
  });

  it('counts each cup that two tabs pour at the same time', async () => {
    const tabs = [ page, await page.context().newPage() ];
    for (const tab of tabs) await tab.goto('/');
    let first: Route | undefined;
    await page.context().route('/cups', async route => { // they leave together
      if (!first) {
        first = route;
        return;
      }
      await Promise.all([ first.continue(), route.continue() ]);
      first = undefined;
    });
    for (let round = 1; round <= 5; round++) {
      await Promise.all(tabs.map(tab => submit('/cups', tab)));
      await page.reload();
      assert.equal(await page.locator('#cups').innerText(), String(2 * round));
    }
  });

  it('speaks the language that the visitor chooses, from then on', async () => {
    await page.goto('/status');
    await click('text=中文');
    assert.equal(await title(), '状态');
    assert.equal(await page.locator('html').getAttribute('lang'), 'zh-cn');
    await click('nav a >> text=商店');
    assert.equal(await title(), '欢迎！');
    await click('text=English');
    assert.equal(await title(), 'Welcome!');
  });

  it('is used with the keyboard alone, and shows where the focus is', async () => {
    await page.goto('/');
    const order = [];
    for (;;) {
      await page.keyboard.press('Tab');
      const element = focused();
      if (!await element.count()) break; // it has left the page
      order.push(await element.getAttribute('aria-label') ?? await element.innerText());
      const { style, width, left, right } = await page.evaluate<{ style: string; width: string; left: number; right: number }>(FOCUS);
      assert.deepEqual([ style, width ], [ 'solid', '3px' ], order.at(-1));
      assert.ok(left >= 0 && right <= page.viewportSize()!.width, order.at(-1));
    }
    assert.deepEqual(order, [ 'Skip to the content', 'Teahouse', 'Sign in', '中文', 'Shop', 'Devices', 'Promises', 'Status', 'Admin',
      'Pour a cup', 'Add Green tea', 'Add Oolong', 'Add Black tea' ]);
  });

  it('sign-in returns to the page that led there, also when the visitor changes the language in between', async () => {
    await page.goto('/promises');
    await click('.account a >> text=Sign in');
    await click('text=中文');
    await page.fill('#name', 'bob');
    await page.fill('#password', 'builder');
    await submit('/sign-in');
    assert.deepEqual([ new URL(page.url()).pathname, await title() ], [ '/promises', '对比' ]);
    assert.equal(await page.locator('.flash').innerText(), '欢迎，bob。');
  });

  it('"Try it now" says that it is at work, cannot be clicked twice, and is ready again for who goes back', async () => {
    const busy = { disabled: true, text: 'Testing with real requests. This takes a second or two.' };
    const idle = { disabled: false, text: '' };
    await page.goto('/promises');
    assert.deepEqual(await page.evaluate(PROGRESS), idle);
    await page.evaluate(`addEventListener('pagehide', () => sessionStorage.setItem('left', JSON.stringify(${PROGRESS})))`);
    await submit('/promises');
    assert.deepEqual(JSON.parse(await page.evaluate('sessionStorage.left')), busy);
    assert.deepEqual(await page.evaluate(PROGRESS), idle);
    assert.equal(await page.locator('.verdict.kept').count(), 3);

    await page.evaluate('document.querySelector("#try").dispatchEvent(new Event("submit"))'); // the browser stays
    assert.deepEqual(await page.evaluate(PROGRESS), busy);
    await expectAccessible('the tests run');
    await page.goto('/');
    await page.goBack();
    await page.waitForFunction(`!${PROGRESS}.disabled`);
  });

  it('each page is accessible, in light and dark, and on a phone: axe finds nothing, and nothing is cut off', async () => {
    const pages: Record<string, () => Promise<unknown>> = {
      '/sign-in': async () => {
        await submit('/sign-in');
        expectRefusal(422);
      },
      '/admin': async () => expectRefusal(403),
      '/': () => submit('/cart'),
      '/devices': async () => undefined,
      '/promises': () => submit('/promises'),
      '/status': async () => undefined,
      '/nothing': async () => expectRefusal(404),
      '/admin?locale=zh-CN': async () => undefined,
    };
    for (const [ route, act ] of Object.entries(pages)) {
      if (route === '/') await signIn(page, 'alice');
      await page.goto(route);
      await act();
      await expectAccessible(route);
    }
  });

  it('in an outage, each page says so, in light and dark, on a phone and in either language, and /status is there', async () => {
    await signIn(page, 'alice');
    const restart = await redis.restart('SIGKILL');
    for (const [ language, name, down, status, state ] of [
      [ 'English', 'en', 'The session store cannot be reached', 'Status', 'down' ],
      [ '中文', 'zh', '无法连接 session 存储', '状态', '故障' ],
    ]) {
      await page.goto('/devices?locale=en-US');
      if (name === 'zh') await click(`text=${language}`);
      assert.deepEqual([ new URL(page.url()).pathname, await title() ], [ '/devices', down ]);
      await expectAccessible(`${down}, ${language}`);
      await click('main a[href="/status"]');
      assert.deepEqual([ await title(), await page.locator('#state').innerText() ], [ status, state ]);
      await expectAccessible(`${status}, ${language}`);
    }
    await page.goto('/devices?locale=en-US');
    await restart();
    await until('the page is there again', async () => {
      await click('text=Try again');
      return await title() === 'Sign in'; // this Redis keeps nothing on disk
    });
    assert.match(problems.take().join(), /^([^,]*status of 503 [^,]*,?)+$/);
  });

  it('when the server fails, the page says so, in light and dark, and leads back', async () => {
    const failing = new Example();
    try {
      page = await open({ baseURL: `http://127.0.0.1:${await failing.start()}` });
      failing.loseTmp();
      await page.goto('/promises');
      await submit('/promises');
      failing.restoreTmp();
      assert.equal(await title(), 'Something went wrong');
      expectRefusal(500);
      await expectAccessible('500');
      await click('text=Back to the shop');
      assert.equal(await title(), 'Welcome!');
    } finally {
      await failing.remove();
    }
  });
});
