// What a request costs: CPU of the server beyond the same request without a session, requests per second, latency. The
// servers of a framework get the same requests, in many short rounds, each of which begins with another one of them.
import { type Action, ACTIONS, type Kept, KEPT, sizesIn, type Subject, subjects, target } from './cases';
import { type Browser, measure, send, signIn } from './load';
import { draw, type Result } from './picture';
import { median, progress, quantile, ratioOf, spread, table } from './report';
import { type Server, startServer } from './servers';
import type { Options } from './options';

/** V8 goes on optimizing for thousands of requests; what servers cost from then on is what counts. */
const WARM_UP_REQUESTS = 5000;
const WARM_UP_ROUNDS = 2;

const FRAMEWORKS = [ 'Egg', 'Express', 'Fastify', 'Node.js' ] as const;

export async function requests(options: Options, redis: number): Promise<void> {
  const results: Result[] = [];
  for (const kept of KEPT.filter(name => (options.kept ?? name) === name)) {
    const kind = (name: Kept) => (subject: Subject) => subject.kept.includes(name);
    for (const framework of options.all ? FRAMEWORKS : [ 'Egg' ] as const) {
      const compared = subjects(framework).filter(kind(kept));
      for (const rolling of compared.length > 0 ? [ false, true ] : []) {
        const actions: Action[] = rolling ? [ 'renew' ] : [ 'unused', 'read', 'write' ];
        results.push(...await compare(compared, kept, rolling, actions, redis, options));
      }
    }
    print(kept, results.filter(result => result.kept === kept));
  }
  if (options.all && !options.kept) draw(results, options);
}

async function compare(all: Subject[], kept: Kept, rolling: boolean, actions: Action[], redis: number, options: Options): Promise<Result[]> {
  const running = await Promise.all(all.filter(subject => actions.some(action => subject.actions.includes(action)))
    .map(async subject => ({ subject, server: await startServer(subject, kept, { redis }, rolling), browsers: [] as Browser[] })));
  const results: Result[] = [];
  for (const bytes of sizesIn(kept)) {
    for (const each of running) {
      each.browsers = await signIn(each.server, options.sessions, bytes);
      if (bytes > 200) continue;
      for (const action of actions) await send(each.server, urlOf(action), each.browsers, WARM_UP_REQUESTS);
    }
    for (const action of actions) {
      progress(`${kept}, ${bytes} bytes, ${action}: ${running.map(({ subject }) => subject.name).join(' | ')}`);
      const competing = running.filter(({ subject }) => subject.actions.includes(action));
      results.push(...await alternate(competing, action, options).then(rounds => competing.map(({ subject }, i) => ({
        kept, bytes, action, subject,
        cpu: rounds.map(round => round[i].cpu - (i ? round[0].cpu : 0)),
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
  const rounds: Array<Array<Awaited<ReturnType<typeof measure>>>> = [];
  for (let round = -WARM_UP_ROUNDS; round < options.rounds; round++) {
    const figures: typeof rounds[number] = [];
    for (let j = 0; j < competing.length; j++) {
      const i = (j + round + WARM_UP_ROUNDS) % competing.length;
      figures[i] = await measure(competing[i].server, urlOf(action), competing[i].browsers, options.requests);
    }
    if (round >= 0) rounds.push(figures);
  }
  return rounds;
}

/** The result of egg-session that one is compared with; an unused session is compared with a read of egg-session's. */
function theirs({ subject, kept, bytes, action }: Result, results: Result[]): Result | undefined {
  if (subject.framework !== 'Egg' || subject.sessions === 'none') return undefined;
  return results.find(other => other.subject.sessions === 'egg-session' && other.kept === kept && other.bytes === bytes &&
    other.action === (action === 'unused' ? 'read' : action));
}

function print(kept: Kept, results: Result[]): void {
  const inOrder = results.toSorted((a, b) => ACTIONS.indexOf(a.action) - ACTIONS.indexOf(b.action) || a.bytes - b.bytes);
  const rows = inOrder.map(result => {
    const { subject, bytes, action, cpu, perSecond, latencies } = result;
    const other = theirs(result, results);
    const ratio = other && ratioOf(cpu, other.cpu);
    const most = target(subject, kept, action);
    return [
      `${action}, ${bytes} B`,
      subject.name,
      `${subject.sessions === 'none' ? '=' : '+'} ${spread(cpu)}`,
      ratio ? `${ratio.value.toFixed(2)} [${ratio.low.toFixed(2)}–${ratio.high.toFixed(2)}]` : '',
      ratio && most ? `≤ ${most} ${ratio.value <= most ? ' ' : 'ⅹ'}` : '',
      median(perSecond).toFixed(0),
      quantile(latencies, 0.5).toFixed(2),
      quantile(latencies, 0.99).toFixed(2),
    ];
  });
  table(`Sessions in ${kept}: CPU of the server for a request, + beyond no session, median [quartiles] of the rounds; 8 connections. ⅹ: target missed.`,
    [ '', '', 'CPU µs', '× egg-session [95 %]', 'target', 'requests/s', 'p50 ms', 'p99 ms' ], rows);
}
