import { CookieJar as Tough } from 'tough-cookie';
import { CookieJar } from './CookieJar';

/** The cookies of a browser as tough-cookie keeps them, which knows the public suffixes too. It has no partitions. */
export class ToughJar extends CookieJar {
  private readonly jar = new Tough();
  /** What was refused: a browser drops it without a word. */
  readonly refused: string[] = [];

  override store(url: URL, setCookies: readonly string[]): void {
    for (const line of setCookies) {
      try {
        this.jar.setCookieSync(line, url.href);
      } catch (err) {
        this.refused.push(`${line}: ${err}`);
      }
    }
  }

  override header(url: URL): string {
    return this.jar.getCookieStringSync(url.href);
  }

  /** Each cookie that is not over, with where it is kept. */
  places(): string[] {
    return this.jar.serializeSync()!.cookies.filter(({ expires }) => !(Date.parse(String(expires)) <= Date.now()))
      .map(({ key, domain, hostOnly, path }) => `${key} ${hostOnly ? '' : '.'}${domain}${path}`).sort();
  }
}
