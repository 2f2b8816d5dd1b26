import { strict as assert } from 'node:assert';
import type { Browser } from 'playwright-core';
import { pictures } from '../../scripts/pictures';
import { openPage, startChromium } from '../support/chromium';

describe('the diagrams of the documents, in a browser', () => {
  let browser: Browser;

  before(async () => {
    browser = await startChromium();
  });

  after(() => browser.close());

  for (const [ file, content ] of pictures()) {
    it(`${file}: has no text over other text, or beyond its edge`, async () => {
      const page = await openPage(browser);
      await page.setContent(content);
      const texts = await page.locator('text').evaluateAll(all => all.map(each => {
        const { left, right, top, bottom } = each.getBoundingClientRect();
        return { text: each.textContent, left, right, top: top + 2, bottom: bottom - 2 };
      }));
      assert.ok(texts.length > 20);
      const picture = await page.locator('svg').evaluate(each => each.getBoundingClientRect().toJSON());
      for (const [ i, a ] of texts.entries()) {
        assert.ok(a.left > picture.left && a.right < picture.right && a.bottom < picture.bottom, `beyond the edge: ${a.text}`);
        const over = texts.slice(i + 1).find(b => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom);
        assert.equal(over, undefined, `${a.text} is over ${over?.text}`);
      }
      const boxes = await page.locator('rect:not(.ground)').evaluateAll(all => all.map(each => each.getBoundingClientRect().toJSON()));
      for (const box of boxes) assert.ok(box.left > picture.left && box.right < picture.right, `a box is beyond the edge, at ${box.left}`);
      await page.context().close();
    });
  }

  it('have another ground for dark', async () => {
    const page = await openPage(browser, { colorScheme: 'dark' });
    for (const content of pictures().values()) {
      await page.setContent(content);
      const ground = () => page.evaluate<string>('getComputedStyle(document.querySelector(".ground")).fill');
      await page.emulateMedia({ colorScheme: 'light' });
      const light = await ground();
      await page.emulateMedia({ colorScheme: 'dark' });
      assert.notEqual(await ground(), light);
    }
  });
});
