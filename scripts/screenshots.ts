// Takes pictures of the pages of the example: those of the README to docs/images, or with a folder as the argument each page,
// light and dark, wide and on a phone, in English and Chinese, to there, also in an outage of Redis.
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { follow, openPage, signIn, startChromium } from '../test/support/chromium';
import { Example } from '../test/support/example';
import { startRedis, type TestServer } from '../test/support/servers';

const FIREFOX = 'Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0';
const SAFARI = 'Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 Version/18.5 Mobile/15E148 Safari/604.1';
const SCHEMES = [ 'light', 'dark' ] as const;
const SIZES = { wide: { width: 800, height: 664 }, phone: { width: 390, height: 820 }, narrow: { width: 360, height: 780 } };
const LOCALES = { en: 'en-US', zh: 'zh-CN' };

interface Shot { file: string; show: Show; language: keyof typeof LOCALES; size: keyof typeof SIZES }
type Show = (page: Page) => Promise<unknown>;

const goTo = (route: string): Show => page => page.goto(route);

/** What is to be seen on each page, by who is signed in. */
const PAGES: Record<string, Show> = {
  home: async page => {
    await page.goto('/');
    while (await page.locator('#cups').innerText() !== '3') await follow(page, '[action="/cups"] button');
    await follow(page, '[action="/cart"]:has([value="Green tea"]) button');
  },
  devices: goTo('/devices'),
  promises: async page => {
    await page.goto('/promises');
    await follow(page, '[action="/promises"] button');
  },
  'promises-running': async page => {
    await page.goto('/promises');
    await page.evaluate('document.querySelector("#try").dispatchEvent(new Event("submit"))');
  },
  status: goTo('/status'),
  admin: goTo('/admin'),
  'sign-in': async page => {
    await page.goto('/sign-in');
    await page.fill('#name', 'alice');
    await follow(page, 'main button');
  },
  'not-found': goTo('/nothing'),
  refused: async page => {
    await page.goto('/');
    await page.evaluate('document.querySelector("[name=product]").value = "coffee"');
    await follow(page, '[action="/cart"] button');
  },
  'expired-form': async page => {
    await page.goto('/');
    await page.evaluate('document.querySelector("[name=_csrf]").value = "wrong"');
    await follow(page, 'header button');
    await page.waitForSelector('h1');
  },
};
/** What is to be seen without a session, in this order: by guests, when the server fails, and in an outage. */
const GUEST = { 'guest-home': goTo('/'), 'guest-admin': goTo('/admin') };
const FAILURE: Record<string, Show> = {
  failed: async page => {
    await page.goto('/promises');
    await follow(page, '[action="/promises"] button');
  },
};
const COOKIE: Record<string, Show> = { 'cookie-devices': goTo('/devices'), 'cookie-promises': PAGES.promises, 'cookie-status': goTo('/status') };
const OUTAGE: Record<string, Show> = { unavailable: goTo('/devices'), 'status-down': goTo('/status') };

const README: Shot[] = [
  { file: 'home', show: PAGES.home, language: 'en', size: 'wide' },
  { file: 'devices', show: PAGES.devices, language: 'en', size: 'wide' },
  { file: 'promises', show: PAGES.promises, language: 'en', size: 'wide' },
  { file: 'phone', show: PAGES.devices, language: 'zh', size: 'phone' },
];

const all = (pages: Record<string, Show>): Shot[] => ([ 'en', 'zh' ] as const).flatMap(language => Object.entries(pages).flatMap(([ name, show ]) =>
  ([ 'wide', 'narrow' ] as const).map(size => ({ file: `${name}-${language}-${size}`, show, language, size }))));

async function main(folder?: string) {
  const out = path.resolve(folder ?? path.join(__dirname, '../docs/images'));
  mkdirSync(out, { recursive: true });
  const example = new Example();
  let browser: Browser | undefined;
  let redis: TestServer | undefined;

  const openAll = async (env: NodeJS.ProcessEnv) => {
    const baseURL = `http://127.0.0.1:${await example.start(env)}`;
    const visitor = (userAgent: string, locale: string) => openPage(browser!, { baseURL, userAgent, locale });
    return { visitor, en: await visitor(FIREFOX, LOCALES.en), zh: await visitor(FIREFOX, LOCALES.zh) };
  };
  const take = async (page: Page, { file, show, size }: Shot) => {
    await show(page);
    await page.setViewportSize(SIZES[size]);
    for (const colorScheme of SCHEMES) {
      await page.emulateMedia({ colorScheme });
      await page.screenshot({ path: path.join(out, `${file}-${colorScheme}.png`), fullPage: Boolean(folder) });
    }
  };

  try {
    browser = await startChromium();
    redis = await startRedis();
    const store = folder ? { STORE: 'redis', REDIS_URL: `redis://127.0.0.1:${redis.port}` } : { STORE: 'memory' };
    const { visitor, ...pages } = await openAll(store);
    await signIn(await visitor(SAFARI, 'en-US'), 'bob');
    await signIn(await visitor(SAFARI, 'en-US'), 'alice');
    for (const shot of folder ? all(PAGES) : README) {
      const page = pages[shot.language];
      await signIn(page, 'alice');
      await take(page, shot);
      await page.goto('/');
      await follow(page, '[action="/sign-out"] button');
    }
    if (!folder) return;
    for (const shot of all(GUEST)) await take(pages[shot.language], shot);
    for (const language of [ 'en', 'zh' ] as const) await signIn(pages[language], 'alice');
    await redis.stop('SIGKILL');
    for (const shot of all(OUTAGE)) await take(pages[shot.language], shot);

    const cookie = await openAll({ STORE: 'cookie' });
    for (const language of [ 'en', 'zh' ] as const) await signIn(cookie[language], 'alice');
    for (const shot of all(COOKIE)) await take(cookie[shot.language], shot);

    const failing = await openAll({ STORE: 'memory' });
    example.loseTmp();
    for (const shot of all(FAILURE)) await take(failing[shot.language], shot);
    example.restoreTmp();
  } finally {
    await browser?.close();
    await example.remove();
    await redis?.stop();
  }
}

main(process.argv[2]).catch(err => {
  console.error(err);
  process.exit(1);
});
