/**
 * The `code` of an error whose message starts with `[egg-tegg-session]`, to handle errors in code: messages may change, codes do not.
 *
 * | Code | Cause |
 * | --- | --- |
 * | `ERR_SESSION_CONFIG` | an option, or the return value of a function among the options, is wrong |
 * | `ERR_SESSION_SETUP` | the application cannot start because of its store, the store's client or rights, a module, or `config.keys` |
 * | `ERR_SESSION_NOT_READY` | the application is still starting, or has been closed |
 * | `ERR_SESSION_NO_STORE` | the called method needs a store, or a store with an index |
 * | `ERR_SESSION_STORE` | the store has failed, or is down; the response is a 503, and `cause` has the error of the driver |
 * | `ERR_SESSION_OUTSIDE_REQUEST` | there is no session here: outside a request, or where the middleware has not run |
 * | `ERR_SESSION_NOT_LOADED` | `load: 'injected'`, and the session was not loaded for this request |
 * | `ERR_SESSION_REQUEST_OVER` | the request has saved its session, or has ended |
 * | `ERR_SESSION_RESPONSE_BEGUN` | a cookie has to be set, and the response has begun |
 * | `ERR_SESSION_INSECURE` | the cookie is for HTTPS only, and the request came over plain HTTP |
 * | `ERR_SESSION_ENDED` | the session was destroyed, or has ended elsewhere |
 * | `ERR_SESSION_UNPROVEN` | the session is bound to a device, and the request has no proof of it; the response is a 403 |
 * | `ERR_SESSION_UPDATE_TIMEOUT` | `update()` took too long |
 * | `ERR_SESSION_DATA` | a session cannot hold this field name or value |
 * | `ERR_SESSION_TOO_LARGE` | more data than the cookie or the store accepts |
 * | `ERR_SESSION_ARGUMENT` | a method was called with a wrong argument, or in a wrong place |
 */
export type SessionErrorCode =
  'ERR_SESSION_CONFIG' | 'ERR_SESSION_SETUP' | 'ERR_SESSION_NOT_READY' | 'ERR_SESSION_NO_STORE' | 'ERR_SESSION_STORE' |
  'ERR_SESSION_OUTSIDE_REQUEST' | 'ERR_SESSION_NOT_LOADED' | 'ERR_SESSION_REQUEST_OVER' | 'ERR_SESSION_RESPONSE_BEGUN' |
  'ERR_SESSION_INSECURE' | 'ERR_SESSION_ENDED' | 'ERR_SESSION_UPDATE_TIMEOUT' | 'ERR_SESSION_DATA' | 'ERR_SESSION_TOO_LARGE' |
  'ERR_SESSION_ARGUMENT' | 'ERR_SESSION_UNPROVEN';

/** An error with a code. @internal */
export const coded = <E extends Error>(code: SessionErrorCode, error: E): E & { readonly code: SessionErrorCode } =>
  Object.assign(error, { code });
