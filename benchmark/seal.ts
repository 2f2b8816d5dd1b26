// How long it takes to make a cookie's value of a session's JSON, and the JSON of the value: sealed by this plugin, and
// as egg-session has it, JSON in Base64 that egg-cookies encrypts without authentication.
import Cookies from 'egg-cookies';
import { Sealer } from '../module/cookie/Sealer';
import { dataOf, sizesIn } from './cases';
import { median, table } from './report';

const ROUNDS = 21;
const MS = 100;
const KEYS = [ 'a key', 'an older key' ];
const NAME = 'EGG_SESS';

interface Subject {
  seal(text: string): string;
  open(value: string): string | undefined;
}

const sealer = new Sealer(KEYS);
const { keys } = new Cookies({ app: {}, secure: false }, KEYS) as unknown as {
  keys: { encrypt(text: string): Buffer; decrypt(value: Buffer): { value: Buffer } };
};
const SUBJECTS: Record<string, Subject> = {
  'egg-session': {
    seal: text => {
      const base64 = keys.encrypt(Buffer.from(text).toString('base64')).toString('base64');
      return base64.replace(/\+/g, '-').replace(/\//g, '_');
    },
    open: value => Buffer.from(keys.decrypt(Buffer.from(value, 'base64')).value.toString(), 'base64').toString(),
  },
  'egg-tegg-session': {
    seal: text => sealer.seal(NAME, text),
    open: value => sealer.open(NAME, value)?.text,
  },
};

/** How often `fn` can run in a second. */
function speed(fn: () => unknown): number {
  const start = performance.now();
  let times = 0;
  let elapsed = 0;
  while (elapsed < MS) {
    for (let i = 0; i < 100; i++) fn();
    times += 100;
    elapsed = performance.now() - start;
  }
  return times / elapsed * 1000;
}

export function seal(): void {
  const rows: string[][] = [];
  for (const bytes of sizesIn('cookie')) {
    const text = JSON.stringify(dataOf(bytes));
    const values = Object.values(SUBJECTS).map(subject => subject.seal(text));
    if (Object.values(SUBJECTS).some(({ open }, i) => open(values[i]) !== text)) throw new Error('not the same text');

    for (const method of [ 'seal', 'open' ] as const) {
      const runs = Object.values(SUBJECTS).map((subject, i) =>
        (method === 'seal' ? () => subject.seal(text) : () => subject.open(values[i])));
      for (const run of runs) speed(run);
      // in turn, so that whatever else the machine does hits both
      const rounds = Array.from({ length: ROUNDS }, () => runs.map(speed));
      const micros = [ 0, 1 ].map(i => 1e6 / median(rounds.map(round => round[i])));
      const ratio = median(rounds.map(([ theirs, ours ]) => theirs / ours));
      rows.push([ `${method} ${bytes} bytes`, ...micros.map(time => time.toFixed(1)), ratio.toFixed(2), values.map(value => value.length).join(' : ') ]);
    }
  }
  table('The text of a cookie, in µs', [ '', ...Object.keys(SUBJECTS), 'ratio', 'bytes of the cookie' ], rows);
}
