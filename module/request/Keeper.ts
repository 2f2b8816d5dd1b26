import type { SessionEndReason } from '../events';
import type { Snapshot } from '../Snapshot';
import type { Store } from '../store/guard';
import type { SessionMaxAge } from '../store/SessionStore';
import type { ChangeTracker } from './ChangeTracker';
import type { Loaded } from './load';
import type { Update } from './RequestSession';

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
  noteDelay(): void;
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
