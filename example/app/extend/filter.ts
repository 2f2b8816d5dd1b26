const UNITS: Array<[ Intl.RelativeTimeFormatUnit & Intl.NumberFormatOptions['unit'], number ]> = [
  [ 'day', 24 * 3600 * 1000 ], [ 'hour', 3600 * 1000 ], [ 'minute', 60 * 1000 ], [ 'second', 1000 ],
];

const largest = (ms: number) => UNITS.find(([ , length ]) => ms >= length) ?? UNITS[UNITS.length - 1];

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
    const browser = /\b(Edg|OPR|Firefox|Chrome|Safari|curl)\b/.exec(userAgent)?.[1];
    const system = /\b(Windows|Android|iPhone|iPad|Mac OS X|Linux)\b/.exec(userAgent)?.[1];
    const names: Record<string, string> = { Edg: 'Edge', OPR: 'Opera', 'Mac OS X': 'macOS' };
    const known = [ browser, system ].flatMap(name => (name ? [ names[name] ?? name ] : []));
    return known.join(', ') || userAgent.slice(0, 30);
  },
};
