import { once } from 'node:events';
import http from 'node:http';

/** What the trials see of a session. */
interface Seen { csrf?: string; nickname?: string; admin?: number; tabOne?: boolean; tabTwo?: boolean }

/** Somebody with a browser, who tries one of the two applications. */
export class Visitor {
  readonly cookies = new Map<string, string>();
  private csrf = '';

  constructor(private readonly port: number) {}

  /** What is in this visitor's session. */
  async look(): Promise<Seen> {
    const seen = await this.open('GET', '/try').finish();
    this.csrf = seen.csrf ?? '';
    return seen;
  }

  async signIn(nickname: string) {
    await this.look(); // for the token that a form would have
    await this.post(`/try/guest?nickname=${nickname}`);
    await this.look();
  }

  async signOut() {
    await this.post('/try/sign-out');
  }

  /** A slow request, which has read the session when this resolves; it goes on, and changes the session, at `finish()`. */
  async startUpload(tab: string) {
    const upload = this.open('POST', `/try/upload?tab=${tab}`);
    upload.request.flushHeaders();
    await Promise.race([ once(upload.request, 'information'), upload.response ]);
    return upload;
  }

  private post(path: string) {
    return this.open('POST', path).finish();
  }

  private open(method: string, path: string) {
    const cookie = [ ...this.cookies ].map(([ name, value ]) => `${name}=${value}`).join('; ');
    const request = http.request({
      host: '127.0.0.1', port: this.port, method, path, agent: false, headers: { accept: 'application/json', cookie, 'x-csrf-token': this.csrf },
    });
    const response = once(request, 'response') as Promise<[ http.IncomingMessage ]>;
    return { request, response, finish: () => this.finish(request, response) };
  }

  private async finish(request: http.ClientRequest, responding: Promise<[ http.IncomingMessage ]>): Promise<Seen> {
    request.end();
    const [ response ] = await responding;
    let text = '';
    for await (const chunk of response.setEncoding('utf8')) text += chunk;
    if (response.statusCode !== 200) throw new Error(`${request.method} ${request.path}: ${response.statusCode} ${text}`);
    for (const line of response.headers['set-cookie'] ?? []) {
      const [ , name, value ] = /^([^=]+)=([^;]*)/.exec(line)!;
      if (value) this.cookies.set(name, value);
      else this.cookies.delete(name);
    }
    return JSON.parse(text);
  }
}
