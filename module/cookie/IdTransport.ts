import type { Application, Context } from 'egg';
import { refusePromise, type SessionConfig, wrongReturn } from '../options/SessionConfig';
import type { CookiePlace } from '../record/CookiePlace';
import { type Content, type Opened, SessionCookie } from './SessionCookie';
import { keepPrivate } from './SharedCaches';

/** How the id of a session in a store travels between a client and the application. */
export interface IdTransport {
  /** The ids that a request came with, each once; more than one, when a browser has several cookies of the name. */
  read(ctx: Context): ReadonlyArray<Pick<Opened<string>, 'value' | 'stale'>>;
  /** Sends an id with the response; `isGood` is asked again when the headers are sent, where that can be. */
  write(ctx: Context, id: string, isGood: () => boolean): void;
  /** Has the client forget the ids that it came with, wherever cookies with them are `known` to have been set, if a session `wasFound`. */
  expire(ctx: Context, known?: readonly CookiePlace[], wasFound?: boolean): void;
  /** Takes back what the response would send. */
  undo(ctx: Context): void;
}

/** The id travels in the session's cookie. */
export class IdCookie implements IdTransport, Content<string> {
  private readonly cookie: SessionCookie<string>;

  constructor(app: Application, config: SessionConfig) {
    this.cookie = new SessionCookie(app, config, `${config.key} id`, this);
  }

  read(ctx: Context): ReadonlyArray<Opened<string>> {
    const { opened } = this.cookie.found(ctx);
    if (opened.length < 2) return opened;
    // one that does not have to be written anew goes first
    const byId = new Map([ ...opened ].reverse().sort((a, b) => Number(b.stale) - Number(a.stale)).map(each => [ each.value, each ]));
    return opened.filter(each => byId.get(each.value) === each);
  }

  /** Sends it sealed; as the browser has it, if it does. */
  write(ctx: Context, id: string, isGood: () => boolean): void {
    const { cookie } = this;
    if (!cookie.sealed) return cookie.set(ctx, id, undefined, isGood);
    const held = cookie.found(ctx).opened.find(({ value, stale }) => value === id && !stale);
    cookie.set(ctx, held?.raw ?? cookie.seal(id), undefined, isGood);
  }

  expire(ctx: Context, known?: readonly CookiePlace[], wasFound?: boolean): void {
    this.cookie.expire(ctx, known, wasFound);
  }

  undo(ctx: Context): void {
    this.cookie.undo(ctx);
  }

  decode(text: string): string | undefined {
    return text && !/^".*"$/.test(text) ? text : undefined;
  }

  decodeLegacy(text: string): string | undefined {
    return /^[\x21-\x7e]+$/.test(text) ? text : undefined;
  }

  placesOf(): CookiePlace[] {
    return [];
  }

  farewell() {
    return { value: '' };
  }
}

/** The id travels as `config.session.externalKey` says; no cookie is read or written. */
export class ExternalKey implements IdTransport {
  constructor(private readonly externalKey: NonNullable<SessionConfig['externalKey']>) {}

  /** @throws TypeError when `get` returns anything but a string, or nothing */
  read(ctx: Context): ReadonlyArray<{ value: string; stale: boolean }> {
    const id: unknown = this.externalKey.get(ctx);
    if (id === undefined || id === null || id === '' || id === false) return [];
    refusePromise(id, 'externalKey.get');
    if (typeof id !== 'string') throw wrongReturn(id, 'externalKey.get', 'it must return a string, or undefined when there is no id');
    return [{ value: id, stale: false }];
  }

  /** @throws TypeError when `set` is async */
  write(ctx: Context, id: string): void {
    keepPrivate(ctx, () => true);
    refusePromise(this.externalKey.set(ctx, id), 'externalKey.set');
  }

  expire(): void { /* there is no cookie */ }

  undo(): void { /* what set() has done is the application's */ }
}
