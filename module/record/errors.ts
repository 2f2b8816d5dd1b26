/**
 * What went wrong, for code to tell errors apart: the `code` of an error whose message starts with `[egg-tegg-session]`. The messages may
 * change, the codes do not.
 *
 * | Code | When |
 * | --- | --- |
 * | `ERR_SESSION_CONFIG` | an option is wrong, or what a function among the options returned |
 * | `ERR_SESSION_SETUP` | the application can't start as it is set up: its store, the client or rights of that, a module, `config.keys` |
 * | `ERR_SESSION_NOT_READY` | the application is still starting, or has been closed |
 * | `ERR_SESSION_NO_STORE` | what was called needs a store, or one with an index |
 * | `ERR_SESSION_STORE` | the store has failed, or is down; it is answered with 503, and `cause` has the error of the driver |
 * | `ERR_SESSION_OUTSIDE_REQUEST` | there is no session here: outside a request, or where the middleware has not run |
 * | `ERR_SESSION_NOT_LOADED` | `load: 'injected'`, and the session was not loaded for this request |
 * | `ERR_SESSION_REQUEST_OVER` | the request has saved its session, or has ended |
 * | `ERR_SESSION_RESPONSE_BEGUN` | a cookie has to be set, and the response has begun |
 * | `ERR_SESSION_INSECURE` | the cookie is for HTTPS only, and the request came over plain HTTP |
 * | `ERR_SESSION_ENDED` | the session was destroyed, or has ended elsewhere |
 * | `ERR_SESSION_UNPROVEN` | the session is bound to a device, and the request has no proof of it; it is answered with 403 |
 * | `ERR_SESSION_UPDATE_TIMEOUT` | `update()` took too long |
 * | `ERR_SESSION_DATA` | a field's name or value that a session can't hold |
 * | `ERR_SESSION_TOO_LARGE` | more data than the cookie or the store takes |
 * | `ERR_SESSION_ARGUMENT` | a method was called with what it does not take, or where it can't be called |
 */
export type SessionErrorCode =
  'ERR_SESSION_CONFIG' | 'ERR_SESSION_SETUP' | 'ERR_SESSION_NOT_READY' | 'ERR_SESSION_NO_STORE' | 'ERR_SESSION_STORE' |
  'ERR_SESSION_OUTSIDE_REQUEST' | 'ERR_SESSION_NOT_LOADED' | 'ERR_SESSION_REQUEST_OVER' | 'ERR_SESSION_RESPONSE_BEGUN' |
  'ERR_SESSION_INSECURE' | 'ERR_SESSION_ENDED' | 'ERR_SESSION_UPDATE_TIMEOUT' | 'ERR_SESSION_DATA' | 'ERR_SESSION_TOO_LARGE' |
  'ERR_SESSION_ARGUMENT' | 'ERR_SESSION_UNPROVEN';

/** An error with a code. @internal */
export const coded = <E extends Error>(code: SessionErrorCode, error: E): E & { readonly code: SessionErrorCode } =>
  Object.assign(error, { code });
