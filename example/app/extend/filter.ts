const UNITS: Array<[ Intl.RelativeTimeFormatUnit & Intl.NumberFormatOptions['unit'], number ]> = [
  [ 'day', 24 * 3600 * 1000 ], [ 'hour', 3600 * 1000 ], [ 'minute', 60 * 1000 ], [ 'second', 1000 ],
];

const largest = (ms: number) => UNITS.find(([ , length ]) => ms >= length) ?? UNITS[UNITS.length - 1];

// by what a User-Agent has of them; it may have those further down, too
const BROWSERS = [[ 'Edg/', 'Edge' ], [ 'OPR/', 'Opera' ], [ 'Firefox', 'Firefox' ], [ 'Chrome', 'Chrome' ], [ 'Safari', 'Safari' ], [ 'curl', 'curl' ]];
const SYSTEMS = [[ 'Windows', 'Windows' ], [ 'Android', 'Android' ], [ 'iPhone', 'iPhone' ], [ 'iPad', 'iPad' ], [ 'Mac OS X', 'macOS' ], [ 'Linux', 'Linux' ]];

export default {
  /** A time, in ms since 1970, as in "5 minutes ago". */
  ago(time: number, locale: string): string {
    const passed = Math.max(0, Date.now() - time);
    const [ unit, length ] = largest(passed);
    return new Intl.RelativeTimeFormat(locale, { numeric: 'auto' }).format(-Math.floor(passed / length), unit);
  },

  /** A time, in ms since 1970, for machines. */
  iso: (time: number) => new Date(time).toISOString(),

  /** A length of time, in ms, as in "30 minutes". */
  duration(ms: number, locale: string): string {
    const [ unit, length ] = largest(ms);
    return new Intl.NumberFormat(locale, { style: 'unit', unit, unitDisplay: 'long', maximumFractionDigits: 1 }).format(ms / length);
  },

  /** A `User-Agent` in two words or three, as "Firefox, Windows". */
  device(userAgent: string): string {
    const known = [ BROWSERS, SYSTEMS ].flatMap(names => names.find(([ token ]) => userAgent.includes(token))?.[1] ?? []);
    return known.join(', ') || userAgent.slice(0, 30);
  },
};
