// Takes pictures of the pages of the example: those of the README to docs/images, or with a folder as the argument each page,
// light and dark, wide and on a phone, in English and Chinese, to there.
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { openPage, signIn, startChromium } from '../test/support/chromium';
import { Example } from '../test/support/example';

const FIREFOX = 'Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0';
const SAFARI = 'Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 Version/18.5 Mobile/15E148 Safari/604.1';
const SCHEMES = [ 'light', 'dark' ] as const;
const SIZES = { wide: { width: 800, height: 664 }, phone: { width: 390, height: 820 } };

/** What is to be seen on each page. */
const PAGES: Record<string, (page: Page) => Promise<unknown>> = {
  home: async page => {
    await page.goto('/');
    while (await page.locator('#cups').innerText() !== '3') await page.click('[action="/cups"] button');
    await page.locator('[action="/cart"] button').first().click();
    await page.waitForSelector('.flash');
  },
  devices: page => page.goto('/devices'),
  promises: async page => {
    await page.goto('/promises');
    await page.click('[action="/promises"] button');
    await page.waitForSelector('.kept');
  },
  status: page => page.goto('/status'),
  admin: page => page.goto('/admin'),
  'sign-in': async page => {
    await page.goto('/sign-in');
    await page.fill('#name', 'alice');
    await page.press('#name', 'Enter');
    await page.waitForSelector('#error');
  },
};

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
    for (const [ language, locale ] of [[ 'en', 'en-US' ], [ 'zh', 'zh-CN' ]]) {
      const page = await visitor(FIREFOX, locale);
      await signIn(page, 'alice');
      const shoot = (name: string, size: keyof typeof SIZES) => shootBoth(page, path.join(out, `${name}-`), SIZES[size], Boolean(folder));
      if (folder) {
        for (const [ name, show ] of Object.entries(PAGES)) {
          await show(page);
          for (const size of [ 'wide', 'phone' ] as const) await shoot(`${name}-${language}-${size}`, size);
        }
      } else if (language === 'en') {
        for (const name of [ 'home', 'devices', 'promises' ]) {
          await PAGES[name](page);
          await shoot(name, 'wide');
        }
      } else {
        await PAGES.devices(page);
        await shoot('phone', 'phone');
      }
      await page.click('[action="/sign-out"] button');
      await page.context().close();
    }
  } finally {
    await browser?.close();
    await example.remove();
  }
}

async function shootBoth(page: Page, prefix: string, size: { width: number; height: number }, fullPage: boolean) {
  await page.setViewportSize(size);
  for (const colorScheme of SCHEMES) {
    await page.emulateMedia({ colorScheme });
    await page.screenshot({ path: `${prefix}${colorScheme}.png`, fullPage });
  }
}

main(process.argv[2]).catch(err => {
  console.error(err);
  process.exit(1);
});
