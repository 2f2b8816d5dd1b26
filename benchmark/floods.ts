// What a request costs whose cookies a stranger has made up, beside one that comes with a good cookie: anybody can send them.
import { type Kept, KEPT, type Subject } from './cases';
import { type Browser, inTurn, measure, send, signIn } from './load';
import { progress, ratioOf, spread, table } from './report';
import { startServer } from './servers';
import type { Options } from './options';

const WARM_UP_REQUESTS = 3000;

/** The most that a request may cost, as a ratio to a good one. */
const MOST = 1.3;

/** Node.js takes headers of up to 16 kB. */
const MOST_BYTES = 15_000;

const SUBJECT: Subject = { name: 'egg-tegg-session', framework: 'Egg', sessions: 'always', kept: KEPT, actions: [ 'read' ] };

/** The `Cookie` headers, each made of a good one. */
const FLOODS: Record<string, (name: string, value: string) => string> = {
  'a good cookie': (name, value) => `${name}=${value}`,
  'no cookie': () => 'none=1',
  'a wrong tag': (name, value) => `${name}=${forged(value)}`,
  '8 kB in a cookie of the right beginning': (name, value) => `${name}=${value.slice(0, 8)}${'A'.repeat(8000)}`,
  '80 cookies of the name, with wrong tags': (name, value) => fill(80, () => `${name}=${forged(value)}`),
  '80 cookies of the name, of no kind': name => fill(80, i => `${name}=x${i}`),
  '8 kB of other cookies, and a good one': (name, value) => `${fill(400, i => `other${i}=${'v'.repeat(8)}`)}; ${name}=${value}`,
  'odd Unicode': name => `${name}=${'%F0%9F%A6%86\u00e9\u00ff'.repeat(50)}`,
};

export async function floods(options: Options, redis: number): Promise<void> {
  for (const kept of KEPT.filter(each => (options.kept ?? each) === each)) await flood(kept, options, redis);
}

async function flood(kept: Kept, options: Options, redis: number): Promise<void> {
  const server = await startServer(SUBJECT, kept, { redis });
  const signedIn = await signIn(server, options.sessions, 200);
  const kinds = Object.entries(FLOODS).map(([ what, make ]) => ({
    what,
    browsers: signedIn.map(({ cookie }): Browser => ({ cookie: make(cookie.slice(0, cookie.indexOf('=')), cookie.slice(cookie.indexOf('=') + 1)) })),
  }));
  for (const { browsers } of kinds) await send(server, '/look', browsers, WARM_UP_REQUESTS);
  const cpu: number[][] = kinds.map(() => []);
  progress(`${kept}: ${options.rounds} rounds`);
  await inTurn(kinds, options.rounds, async ({ browsers }, i) => {
    cpu[i].push((await measure(server, '/look', browsers, options.requests)).cpu);
  });
  await server.stop();
  table(`${kept}: CPU of the server for a request with what a stranger can send, median [quartiles] of the rounds; at most ${MOST} of a good one`,
    [ '', 'CPU µs', 'of a good one', '' ],
    kinds.map(({ what }, i) => {
      const { value, low, high } = ratioOf(cpu[i], cpu[0]);
      return [ what, spread(cpu[i]), `${value.toFixed(2)} [${low.toFixed(2)}–${high.toFixed(2)}]`, low > MOST ? 'missed' : '' ];
    }));
}

/** The same with another tag, which is another one each time. */
function forged(value: string): string {
  const bytes = Buffer.from(value.slice(1), 'base64url');
  bytes.writeUInt32LE(Math.floor(Math.random() * 2 ** 32), bytes.length - 4);
  return value[0] + bytes.toString('base64url');
}

/** So many cookies, or as many as fit. */
function fill(count: number, make: (i: number) => string): string {
  const cookies: string[] = [];
  for (let i = 0, bytes = 0; i < count && bytes < MOST_BYTES; i++) bytes += cookies[cookies.push(make(i)) - 1].length + 2;
  return cookies.join('; ');
}
