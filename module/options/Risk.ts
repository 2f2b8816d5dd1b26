export const RISKS = [
  'httpOnly', 'secure', 'keys', 'memoryStore', 'idleTimeout', 'absoluteTimeout', 'encrypt', 'signed', 'acceptLegacyCookie',
  'sharedKey', 'deviceRequired',
] as const;

/**
 * A risk that the review at boot, in production, warns of:
 *
 * - `httpOnly`: scripts can read the cookie.
 * - `secure`: the cookie also goes over plain HTTP.
 * - `keys`: a key in `config.keys` can be guessed.
 * - `memoryStore`: sessions end with the process.
 * - `idleTimeout`: neither `rolling` nor `renew` is on.
 * - `absoluteTimeout`: there is no `absoluteMaxAge`.
 * - `encrypt`: the cookie can be read.
 * - `signed`: anybody can forge a cookie.
 * - `acceptLegacyCookie`: forged cookies are accepted.
 * - `sharedKey`: another application has a cookie of the same name.
 * - `deviceRequired`: users whose browser can't bind a session are signed out.
 */
export type Risk = typeof RISKS[number];
