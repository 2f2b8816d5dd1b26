// What a request costs: CPU of the server beyond the same request without a session, requests per second, latency. The
// servers of a framework get the same requests, in many short rounds, each of which begins with another one of them.
import { type Action, ACTIONS, type Kept, KEPT, sizesIn, type Subject, subjects, target } from './cases';
import { type Browser, inTurn, measure, send, signIn } from './load';
import { draw, type Result } from './picture';
import { median, progress, quantile, ratioOf, spread, table } from './report';
import { type Server, startServer } from './servers';
import type { Options } from './options';

/** V8 goes on optimizing for thousands of requests; what servers cost from then on is what counts. */
const WARM_UP_REQUESTS = 4000;
const WARM_UP_ROUNDS = 1;

const FRAMEWORKS = [ 'Egg', 'Express', 'Fastify', 'Node.js' ] as const;

export async function requests(options: Options, redis: number): Promise<void> {
  const results: Result[] = [];
  const series = KEPT.filter(name => (options.kept ?? name) === name).flatMap(kept => (options.all ? FRAMEWORKS : [ 'Egg' ] as const).flatMap(framework =>
    [ false, true ].map((rolling): Series => ({
      kept, rolling, subjects: subjects(framework).filter(subject => subject.kept.includes(kept)), actions: rolling ? [ 'renew' ] : [ 'unused', 'read', 'write' ],
      // a large session is renewed as it is written
      sizes: rolling && !options.all ? sizesIn(kept).slice(0, 1) : sizesIn(kept),
    })))).filter(each => each.subjects.length > 0);
  const count = series.reduce((all, { actions, sizes }) => all + actions.length * sizes.length, 0);
  let done = 0;
  for (const [ i, each ] of series.entries()) {
    results.push(...await compare(each, redis, options, what => progress(`${++done} of ${count}: ${what}`)));
    if (series[i + 1]?.kept !== each.kept) print(each.kept, results.filter(({ kept }) => kept === each.kept));
  }
  if (options.all && !options.kept) draw(results, options);
}

/** What the same servers are asked for. */
interface Series {
  kept: Kept;
  rolling: boolean;
  subjects: Subject[];
  actions: Action[];
  sizes: number[];
}

async function compare({ kept, rolling, subjects: all, actions, sizes }: Series, redis: number, options: Options, begin: (what: string) => void):
Promise<Result[]> {
  const running = await Promise.all(all.filter(subject => actions.some(action => subject.actions.includes(action)))
    .map(async subject => ({ subject, server: await startServer(subject, kept, { redis }, rolling), browsers: [] as Browser[] })));
  const results: Result[] = [];
  for (const bytes of sizes) {
    for (const each of running) {
      each.browsers = await signIn(each.server, options.sessions, bytes);
      if (bytes > 200) continue;
      for (const action of actions) await send(each.server, urlOf(action), each.browsers, WARM_UP_REQUESTS);
    }
    for (const action of actions) {
      begin(`${kept}, ${bytes} bytes, ${action}: ${running.map(({ subject }) => subject.name).join(' | ')}`);
      const competing = running.filter(({ subject }) => subject.actions.includes(action));
      results.push(...await alternate(competing, action, options).then(rounds => competing.map(({ subject }, i) => ({
        kept, bytes, action, subject,
        cpu: rounds.map(round => round[i].cpu - (i ? round[0].cpu : 0)),
        least: leastOf(rounds, i) - (i ? leastOf(rounds, 0) : 0),
        perSecond: rounds.map(round => round[i].perSecond),
        latencies: rounds.flatMap(round => round[i].latencies),
      }))));
    }
  }
  await Promise.all(running.map(({ server }) => server.stop()));
  return results;
}

/** A server that renews does so when it reads. */
const urlOf = (action: Action) => (action === 'renew' ? '/read' : `/${action}`);

/** Each competitor's figures, by round. */
async function alternate(competing: Array<{ server: Server; browsers: Browser[] }>, action: Action, options: Options) {
  const rounds: Round[] = [];
  await inTurn(competing, WARM_UP_ROUNDS + options.rounds, async ({ server, browsers }, i, round) => {
    (rounds[round] ??= [])[i] = await measure(server, urlOf(action), browsers, options.requests);
  });
  return rounds.slice(WARM_UP_ROUNDS);
}

type Round = Array<Awaited<ReturnType<typeof measure>>>;

const leastOf = (rounds: Round[], i: number) => Math.min(...rounds.map(round => round[i].cpu));

/** The result of egg-session that one is compared with; an unused session is compared with a read of egg-session's. */
function theirs({ subject, kept, bytes, action }: Result, results: Result[]): Result | undefined {
  if (subject.framework !== 'Egg' || subject.sessions === 'none') return undefined;
  return results.find(other => other.subject.sessions === 'egg-session' && other.kept === kept && other.bytes === bytes &&
    other.action === (action === 'unused' ? 'read' : action));
}

function print(kept: Kept, results: Result[]): void {
  const inOrder = results.toSorted((a, b) => ACTIONS.indexOf(a.action) - ACTIONS.indexOf(b.action) || a.bytes - b.bytes);
  const rows = inOrder.map(result => {
    const { subject, bytes, action, cpu, least, perSecond, latencies } = result;
    const other = theirs(result, results);
    const ratio = other && ratioOf(cpu, other.cpu);
    const most = target(subject, kept, action);
    return [
      `${action}, ${bytes} B`,
      subject.name,
      `${subject.sessions === 'none' ? '=' : '+'} ${spread(cpu)}`,
      least.toFixed(0),
      ratio ? `${ratio.value.toFixed(2)} [${ratio.low.toFixed(2)}–${ratio.high.toFixed(2)}]` : '',
      ratio && most ? `≤ ${most} ${ratio.value <= most ? ' ' : 'ⅹ'}` : '',
      median(perSecond).toFixed(0),
      quantile(latencies, 0.5).toFixed(2),
      quantile(latencies, 0.99).toFixed(2),
    ];
  });
  table(`Sessions in ${kept}: CPU of the server for a request, + beyond no session, median [quartiles] and minimum of the rounds; 8 connections. ⅹ: target missed.`,
    [ '', '', 'CPU µs', 'min', '× egg-session [95 %]', 'target', 'requests/s', 'p50 ms', 'p99 ms' ], rows);
}
