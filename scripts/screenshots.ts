// Takes pictures of the pages of the example: those of the README to docs/images, or with a folder as the argument each page,
// light and dark, wide and on a phone, in English and Chinese, to there.
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { follow, openPage, signIn, startChromium } from '../test/support/chromium';
import { Example } from '../test/support/example';

const FIREFOX = 'Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0';
const SAFARI = 'Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 Version/18.5 Mobile/15E148 Safari/604.1';
const SCHEMES = [ 'light', 'dark' ] as const;
const SIZES = { wide: { width: 800, height: 664 }, phone: { width: 390, height: 820 } };
const LOCALES = { en: 'en-US', zh: 'zh-CN' };

interface Shot { file: string; show: string; language: keyof typeof LOCALES; size: keyof typeof SIZES }

/** What is to be seen on each page. */
const PAGES: Record<string, (page: Page) => Promise<unknown>> = {
  home: async page => {
    await page.goto('/');
    while (await page.locator('#cups').innerText() !== '3') await follow(page, '[action="/cups"] button');
    await follow(page, '[action="/cart"]:has([value="Green tea"]) button');
  },
  devices: page => page.goto('/devices'),
  promises: async page => {
    await page.goto('/promises');
    await follow(page, '[action="/promises"] button');
  },
  status: page => page.goto('/status'),
  admin: page => page.goto('/admin'),
  'sign-in': async page => {
    await page.goto('/sign-in');
    await page.fill('#name', 'alice');
    await follow(page, 'main button');
  },
};

const README: Shot[] = [
  { file: 'home', show: 'home', language: 'en', size: 'wide' },
  { file: 'devices', show: 'devices', language: 'en', size: 'wide' },
  { file: 'promises', show: 'promises', language: 'en', size: 'wide' },
  { file: 'phone', show: 'devices', language: 'zh', size: 'phone' },
];

const ALL: Shot[] = ([ 'en', 'zh' ] as const).flatMap(language => Object.keys(PAGES).flatMap(show =>
  ([ 'wide', 'phone' ] as const).map(size => ({ file: `${show}-${language}-${size}`, show, language, size }))));

async function main(folder?: string) {
  const out = path.resolve(folder ?? path.join(__dirname, '../docs/images'));
  mkdirSync(out, { recursive: true });
  const example = new Example();
  let browser: Browser | undefined;
  try {
    const baseURL = `http://127.0.0.1:${await example.start({ STORE: 'memory' })}`;
    browser = await startChromium();
    const visitor = (userAgent: string, locale: string) => openPage(browser!, { baseURL, userAgent, locale });
    await signIn(await visitor(SAFARI, 'en-US'), 'bob');
    await signIn(await visitor(SAFARI, 'en-US'), 'alice');
    const pages = { en: await visitor(FIREFOX, LOCALES.en), zh: await visitor(FIREFOX, LOCALES.zh) };
    for (const { file, show, language, size } of folder ? ALL : README) {
      const page = pages[language];
      await signIn(page, 'alice');
      await PAGES[show](page);
      await page.setViewportSize(SIZES[size]);
      for (const colorScheme of SCHEMES) {
        await page.emulateMedia({ colorScheme });
        await page.screenshot({ path: path.join(out, `${file}-${colorScheme}.png`), fullPage: Boolean(folder) });
      }
      await follow(page, '[action="/sign-out"] button');
    }
  } finally {
    await browser?.close();
    await example.remove();
  }
}

main(process.argv[2]).catch(err => {
  console.error(err);
  process.exit(1);
});
