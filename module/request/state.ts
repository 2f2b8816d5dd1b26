import type { ChangeTracker } from '../record/ChangeTracker';
import type { SessionRecord } from '../record/SessionRecord';
import type { SessionStoreError } from '../store/SessionStoreError';
import type { Loaded, Refused } from './load';

/** The data as the application works on them: undefined until it looks at them, null after `ctx.session = null`. */
type Data = ChangeTracker | null | undefined;

/** Under `load: 'injected'`, in a request whose objects do not have the session: using it throws. */
interface LeftOut {
  readonly at: 'left out';
  readonly data: undefined;
}

/** Nobody has asked for it: its cookie was not opened, or the store is being asked. */
interface Unread {
  readonly at: 'unread';
  readonly data: null | undefined;
}

/** The store could not be asked: the data are empty, and are never saved. */
interface Unavailable {
  readonly at: 'unavailable';
  readonly data: Data;
  readonly error: SessionStoreError;
}

/** It begins with this request, and is saved nowhere. */
interface New {
  readonly at: 'new';
  readonly data: Data;
  /** `expired`: the browser has the cookie of a session that is over. */
  readonly cookie: 'none' | 'expired';
  /** The session in the store that the request came with, and may not use. */
  readonly refused?: Refused;
  /** When the request was loaded, by `performance.now()`. */
  readonly loadedAt?: number;
  readonly regenerateFailed: boolean;
}

/** It is in the store, or came in the cookie; or this request has saved it. */
interface Saved {
  readonly at: 'saved';
  readonly data: Data;
  /** As it was loaded; empty for one that this request has begun. */
  readonly record: SessionRecord;
  /** `stale`: it has to be sent anew, as it was sealed with an old key, or as the session lives longer now. */
  readonly cookie: 'current' | 'stale';
  /** Whether the store has let it live on as it was read, and the browser's cookie does not yet. */
  readonly renewedOnRead: boolean;
  /** Whether this request has written it, or asked the store about it again. */
  readonly written: boolean;
  readonly regenerateFailed: boolean;
  /** When the response may leave, by `performance.now()`: before that, others may be on their way with the old id. */
  readonly leaveAt?: number;
}

/** It has ended elsewhere: by a tombstone that was read, or as a write has found nothing. It is never saved, but by a sign-in. */
interface Ended {
  readonly at: 'ended';
  readonly data: Data;
  readonly record: SessionRecord;
  readonly regenerateFailed: boolean;
}

/** This request has ended it. */
interface Destroyed {
  readonly at: 'destroyed';
  readonly data: null;
}

/**
 * The states of a request's session, each with its own facts:
 *
 * | from | to | by |
 * | --- | --- | --- |
 * | left out | unread | `loadSession()`, without a store |
 * | left out, unread | new, saved, ended | the cookie or the store: {@link opened} |
 * | left out, unread | unavailable | an outage |
 * | new, saved, ended | saved | a write: {@link written} |
 * | saved | saved | `update()`: {@link updated}; a commit has asked the store: {@link confirmed} |
 * | saved, ended | ended | a write or a question finds nothing: {@link lost} |
 * | new, saved, ended | destroyed | `destroy()`: {@link destroyed} |
 * | new, saved, ended | new | `destroy()`, while `ctx.session = { … }` was assigned: {@link destroyed} |
 * | destroyed | new | `ctx.session = { … }`: {@link assigned} |
 */
export type State = LeftOut | Unread | Unavailable | New | Saved | Ended | Destroyed;

export const LEFT_OUT: State = { at: 'left out', data: undefined };
export const UNREAD: State = { at: 'unread', data: undefined };
export const EMPTY: State = { at: 'new', data: undefined, cookie: 'none', regenerateFailed: false };

/** After the cookie was opened, or the store has answered. What was set to null before stays null. */
export function opened({ data }: State, { state, record, cookie, renewed = false, refused }: Loaded): State {
  switch (state) {
    case 'saved':
      return { at: 'saved', data, record, cookie: cookie === 'stale' ? 'stale' : 'current', renewedOnRead: renewed, written: false, regenerateFailed: false };
    case 'ended': return { at: 'ended', data, record, regenerateFailed: false };
    default: return {
      at: 'new', data, cookie: cookie === 'expired' ? 'expired' : 'none', refused, loadedAt: performance.now(), regenerateFailed: false,
    };
  }
}

/** After an outage has kept the store from answering. */
export const unavailable = (error: SessionStoreError): State => ({ at: 'unavailable', data: undefined, error });

/** After the application has looked at the data for the first time. */
export function looked(state: State, data: ChangeTracker): State {
  return state.at === 'left out' || state.at === 'unread' || state.at === 'destroyed' ? state : { ...state, data };
}

/** After `ctx.session = { … }`; what is saved is replaced by it as a whole. */
export function assigned(state: State, data: ChangeTracker): State {
  if (state.at === 'destroyed') return { ...EMPTY, data } as State;
  data.replacesAll = state.at === 'saved';
  return looked(state, data);
}

/** After `ctx.session = null`. */
export const discarded = (state: State): State => ({ ...state, data: null }) as State;

/** After the session was written, and its id or its cookie was sent; `leaveAt` when others may be about to send its old one. */
export function written(state: State, leaveAt?: number): State {
  const { data, record = {}, leaveAt: before } = state as Saved;
  return { at: 'saved', data, record, cookie: 'current', renewedOnRead: false, written: true, regenerateFailed: false, leaveAt: leaveAt ?? before };
}

/** After `update()` has written it: the browser's cookie has to live as long. */
export const updated = (state: State): State => (state.at === 'saved' ? { ...state, cookie: 'stale', written: true } : state);

/** After the store was asked whether it is still there, and it is. */
export const confirmed = (state: State): State => (state.at === 'saved' ? { ...state, written: true } : state);

/** After its id was sent once more. */
export const sent = (state: State): State => (state.at === 'saved' ? { ...state, cookie: 'current', renewedOnRead: false } : state);

/** After it turned out to have ended elsewhere. */
export function lost(state: State): State {
  const { data, record = {}, regenerateFailed } = state as Saved;
  return { at: 'ended', data, record, regenerateFailed };
}

/** After this request has ended the session with the data `ended`. What was assigned to `ctx.session` meanwhile is another session. */
export function destroyed({ data }: State, ended: Data): State {
  if (!data || data === ended || !data.wereAssigned) return { at: 'destroyed', data: null };
  data.replacesAll = false;
  return { ...EMPTY, data } as State;
}

/** While `regenerate()` is under way, and after it has failed: what changes is meant for the new id. */
export const regenerating = (state: State): State =>
  (state.at === 'new' || state.at === 'saved' || state.at === 'ended' ? { ...state, regenerateFailed: true } : state);

/** After the store has told that the expired session of this id is over for all: the browser's cookie is to be removed. */
export const expiredForAll = (state: State): State => (state.at === 'new' ? { ...state, cookie: 'expired' } : state);
