import { accessSync, constants } from 'node:fs';
import path from 'node:path';
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from 'playwright-core';

/** In ms, of a machine that is slow: for the browser's start, and for what a page does. */
const START_TIMEOUT = 240_000;
const TIMEOUT = 60_000;

/** As it is called where it is installed, or what is made of it. */
const NAMES = [ 'chromium', 'chromium-browser', 'google-chrome' ];

/** Starts the Chromium of this system, without a window. */
export async function startChromium(): Promise<Browser> {
  return await chromium.launch({
    executablePath: findChromium(),
    chromiumSandbox: false, // root has none, and it sees nothing but the pages of a test
    args: [ '--disable-quic', '--host-resolver-rules=MAP *.test 127.0.0.1' ],
    ignoreDefaultArgs: [ '--disable-back-forward-cache' ], // users have it
    timeout: START_TIMEOUT,
  });
}

/** Starts one that binds sessions, with keys in software, and that trusts the certificates in the NSS database of `home`. */
export async function startBoundChromium(home: string): Promise<BrowserContext> {
  const context = await chromium.launchPersistentContext(path.join(home, 'profile'), {
    executablePath: findChromium(),
    chromiumSandbox: false,
    headless: false, // playwright's own headless mode does not bind
    args: [
      '--headless=new', '--disable-quic', '--host-resolver-rules=MAP *.test 127.0.0.1',
      '--enable-features=DeviceBoundSessions,EnableBoundSessionCredentialsSoftwareKeysForManualTesting',
    ],
    env: { ...process.env as Record<string, string>, HOME: home },
    locale: 'en-US',
    timeout: START_TIMEOUT,
  });
  context.setDefaultTimeout(TIMEOUT);
  return context;
}

/** A page of somebody who has a browser profile, and cookies, of their own. */
export async function openPage(browser: Browser, options: BrowserContextOptions = {}): Promise<Page> {
  const context = await browser.newContext({ locale: 'en-US', ...options });
  context.setDefaultTimeout(TIMEOUT);
  return await context.newPage();
}

/** Clicks a link or a button, and resolves when the page after it is there. */
export async function follow(page: Page, selector: string): Promise<void> {
  await Promise.all([ page.waitForEvent('load'), page.click(selector) ]);
}

/** Signs in to the example, at its form. */
export async function signIn(page: Page, name: 'alice' | 'bob'): Promise<void> {
  await page.goto('/sign-in');
  await page.fill('#name', name);
  await page.fill('#password', name === 'alice' ? 'wonderland' : 'builder');
  await follow(page, 'main button');
}

function findChromium(): string {
  const files = process.env.PATH!.split(path.delimiter).flatMap(dir => NAMES.map(name => path.join(dir, name)));
  const found = files.find(isExecutable);
  if (!found) throw new Error('there is no Chromium; install it first, as by `apt-get install chromium`');
  return found;
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
