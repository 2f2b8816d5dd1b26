import { once } from 'node:events';
import http from 'node:http';
import { CookieJar } from './CookieJar';

const HOST = '127.0.0.1';

export interface Request {
  method?: string;
  /** `host` and `x-forwarded-proto` say which cookies belong to the request. */
  headers?: Record<string, string>;
  body?: string | URLSearchParams;
}

/** A browser that speaks to one server: it keeps its cookies, makes a connection for each request, and follows nothing. */
export class Browser {
  /** What its requests have besides, as `socketPath`, or a `signal` by which it hangs up. */
  more: http.RequestOptions = {};

  constructor(readonly port: number, readonly cookies = new CookieJar()) {}

  async request(path: string, { method = 'GET', headers = {}, body }: Request = {}) {
    const url = new URL(path, `${headers['x-forwarded-proto'] ?? 'http'}://${headers.host ?? HOST}`);
    const cookie = this.cookies.header(url);
    const request = http.request({
      host: HOST, port: this.port, path, method, agent: false,
      headers: {
        ...(cookie ? { cookie } : {}),
        ...(body instanceof URLSearchParams ? { 'content-type': 'application/x-www-form-urlencoded' } : {}),
        ...headers,
      },
      ...this.more,
    });
    request.end(body?.toString());
    const [ response ] = await once(request, 'response') as [ http.IncomingMessage ];
    let text = '';
    for await (const chunk of response.setEncoding('utf8')) text += chunk;
    const setCookies = response.headers['set-cookie'] ?? [];
    this.cookies.store(url, setCookies);
    return { status: response.statusCode!, headers: response.headers, setCookies, text, json: () => JSON.parse(text) };
  }
}
