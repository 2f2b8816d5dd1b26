import type { Context } from 'egg';
import type { ChangeTracker } from '../record/ChangeTracker';
import type { SessionEndReason, SessionEvents } from '../record/events';
import type { SessionMaxAge, SessionRecord } from '../record/SessionRecord';
import type { Snapshot } from '../record/Snapshot';
import type { RecordMeta } from '../repository/RecordMeta';
import type { Store } from '../store/GuardedStore';
import type { SessionEnvironment } from './environment';
import type { Lifetime } from './Lifetime';
import type { Loaded } from './load';
import type { PrincipalWatch } from './PrincipalWatch';
import type { State } from './state';

/** Changes a copy of the data, which it resolves to. */
export type Update = (data: SessionRecord) => Promise<SessionRecord>;

/** What a keeper sees of the request's session. */
export interface SessionInRequest {
  readonly ctx: Context;
  readonly env: SessionEnvironment;
  state: State;
  readonly lifetime: Lifetime;
  readonly meta: RecordMeta;
  readonly watch: PrincipalWatch;
  /** Runs an operation when those before it have ended. */
  run<T>(operation: () => Promise<T>): Promise<T>;
  /** All that can refuse to save the session, before anything is written or removed. */
  prepare(data: ChangeTracker, known?: Snapshot): Snapshot;
  /** Whether these data sign somebody in. */
  signsIn(data: SessionRecord): boolean;
  /** Takes the principal of what was saved, and tells when it is another one's. */
  notePrincipal(): void;
  /** @throws Error when the response has begun and the browser's cookie would have to change */
  requireHeaders(what: string, needsCookie: boolean): void;
  /** Tells an event of this session; `data` are asked for only when somebody listens. */
  tell<Name extends keyof SessionEvents>(name: Name, more: Omit<SessionEvents[Name], 'ctx'>, data?: () => SessionRecord): void;
}

/** Where a request's session is kept: in the cookie, or in a store. Each method that ends in another state sets that. */
export interface Keeper {
  /** Undefined when sessions live in the cookie. */
  readonly store?: Store;
  /** The session's id, made when it is first asked for; undefined without a store. */
  readonly id: string | undefined;
  /** What the store knows the session by. */
  readonly key: string | undefined;
  /** What stands for the session where people read. */
  readonly name: string | undefined;
  /** Whether the session has an id that this request has not made. */
  readonly hasOldId: boolean;
  /** Reads the session before the handler runs; undefined when it is opened on first use. */
  load(): Loaded | Promise<Loaded> | undefined;
  /** Opens the session when it is first used; undefined when there is nothing to open. */
  open(): Loaded | undefined;
  /** Takes what was loaded, and its lifetime. */
  begin(loaded: Loaded, maxAge: SessionMaxAge): void;
  /** Whether it has written the session without waiting for anything. */
  writeAtOnce(data: ChangeTracker, now: Snapshot): boolean;
  /** Writes the session; `now` has the data, if they are known. */
  write(now?: Snapshot): Promise<void>;
  /** Writes that the session was seen. */
  noteSeen(): Promise<void>;
  /** The same for a session that nobody has used; a failure is logged. */
  noteUnused(): Promise<void>;
  /** Whether the session is where this request has written it; a promise when the store has to be asked. If not, or if nobody can tell, its cookie is taken back. */
  confirm(): Promise<boolean> | true;
  /** The request has waited for something else since the store's last word. */
  markStale(): void;
  /** Moves the session to a new id. */
  regenerate(data: ChangeTracker): Promise<void>;
  /** Updates what is saved; undefined when an update is saved with the response. */
  update?(data: ChangeTracker, fn: Update, isLate: () => boolean): Promise<boolean>;
  /** Ends the session; `data` are those that it had when that was asked for. */
  destroy(reason: SessionEndReason, data: ChangeTracker | null | undefined): Promise<void>;
  /** Has the response send the id. */
  sendId(): void;
  /** Has the response remove the cookie. */
  expire(): void;
  /** Checks, and takes what the application's `beforeSave` does. */
  beforeSave(data: ChangeTracker): void;
}
