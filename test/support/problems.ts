import type { BrowserContext } from 'playwright-core';

/** What a browser complains about: errors in the console, in scripts, and requests that failed. */
export class Problems {
  private readonly seen: string[] = [];

  watch(context: BrowserContext) {
    context.on('console', message => {
      if ([ 'error', 'warning' ].includes(message.type())) this.seen.push(message.text());
    });
    context.on('weberror', ({ error }) => void this.seen.push(String(error())));
    context.on('requestfailed', request => void this.seen.push(`${request.url()}: ${request.failure()?.errorText}`));
  }

  /** Those since the last call. */
  take(): string[] {
    return this.seen.splice(0);
  }
}
