interface Cookie {
  name: string;
  value: string;
  /** The host that has set it; with a Domain attribute, all hosts below that too. */
  domain: string;
  hostOnly: boolean;
  path: string;
  secure: boolean;
  partitioned: boolean;
}

/** Where cookies belong that a test puts in by their name. */
const HOST = '127.0.0.1';

/**
 * The cookies of one browser, kept as RFC 6265 says. A cookie that has expired meanwhile is still sent, as an attacker would:
 * that its time is over is for the server to notice.
 */
export class CookieJar {
  private cookies: Cookie[] = [];

  /** Takes the `Set-Cookie` headers of a response from `url`. */
  store(url: URL, setCookies: readonly string[]): void {
    for (const line of setCookies) {
      const [ pair, ...rest ] = line.split(';');
      const attributes = new Map(rest.map(text => split(text)).map(([ name, value ]) => [ name.toLowerCase(), value ]));
      const [ name, value ] = split(pair);
      const domain = attributes.get('domain')?.replace(/^\./, '').toLowerCase();
      const path = attributes.get('path');
      const cookie: Cookie = {
        name, value,
        domain: domain || url.hostname,
        hostOnly: !domain,
        path: path?.startsWith('/') ? path : url.pathname.replace(/\/[^/]*$/, '') || '/',
        secure: attributes.has('secure'),
        partitioned: attributes.has('partitioned'),
      };
      if (isFor(cookie, new URL(cookie.path, url))) this.put(cookie, isOver(attributes));
    }
  }

  /** What a request to `url` sends as `Cookie`; empty when there is none for it. */
  header(url: URL): string {
    return this.cookies.filter(cookie => isFor(cookie, url))
      .sort((a, b) => b.path.length - a.path.length)
      .map(({ name, value }) => `${name}=${value}`)
      .join('; ');
  }

  /** The value of the first cookie with this name. */
  get(name: string): string | undefined {
    return this.cookies.find(cookie => cookie.name === name)?.value;
  }

  has(name: string): boolean {
    return this.get(name) !== undefined;
  }

  /** Changes the value of a cookie, or adds one for all paths. */
  set(name: string, value: string): this {
    const old = this.cookies.find(cookie => cookie.name === name);
    this.put(old ? { ...old, value } : { name, value, domain: HOST, hostOnly: true, path: '/', secure: false, partitioned: false });
    return this;
  }

  delete(name: string): void {
    this.cookies = this.cookies.filter(cookie => cookie.name !== name);
  }

  clear(): void {
    this.cookies = [];
  }

  get size(): number {
    return this.cookies.length;
  }

  copy(): CookieJar {
    const copy = new CookieJar();
    copy.cookies = [ ...this.cookies ];
    return copy;
  }

  keys(): string[] {
    return this.cookies.map(({ name }) => name);
  }

  [Symbol.iterator](): IterableIterator<[ name: string, value: string ]> {
    return this.cookies.map(({ name, value }): [ string, string ] => [ name, value ])[Symbol.iterator]();
  }

  private put(cookie: Cookie, removed = false): void {
    const index = this.cookies.findIndex(other => IDENTITY.every(key => other[key] === cookie[key]));
    this.cookies.splice(index < 0 ? this.cookies.length : index, index < 0 ? 0 : 1, ...(removed ? [] : [ cookie ]));
  }
}

const IDENTITY = [ 'name', 'domain', 'hostOnly', 'path', 'partitioned' ] as const;

function split(text: string): [ name: string, value: string ] {
  const [ , name, value = '' ] = /^([^=]*)=?([^]*)$/.exec(text)!;
  return [ name.trim(), value.trim() ];
}

/** Whether a cookie is one to remove: Max-Age counts, and Expires only without it. */
function isOver(attributes: Map<string, string>): boolean {
  const maxAge = attributes.get('max-age') ?? '';
  if (/^-?\d+$/.test(maxAge)) return Number(maxAge) <= 0;
  return Date.parse(attributes.get('expires') ?? '') <= Date.now();
}

function isFor({ domain, hostOnly, path, secure }: Cookie, { protocol, hostname, pathname }: URL): boolean {
  const hosts = hostname === domain || (!hostOnly && hostname.endsWith(`.${domain}`) && !/^[\d.]+$/.test(hostname));
  const paths = pathname === path || pathname.startsWith(path.endsWith('/') ? path : `${path}/`);
  return hosts && paths && (!secure || protocol === 'https:');
}
