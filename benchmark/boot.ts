// How long an application takes to boot, and how much heap a session in memory takes.
import { sizesIn, type Subject, subjects } from './cases';
import { signIn } from './load';
import { progress, spread, table } from './report';
import { startServer } from './servers';
import type { Options } from './options';

const BOOTS = 7;
const SESSIONS = 5000;

export async function boot(_: Options, redis: number): Promise<void> {
  const all = subjects('Egg').filter(({ sessions }) => sessions !== 'three-method');
  const times = new Map<Subject, number[]>(all.map(subject => [ subject, []]));
  progress(`${BOOTS} boots of each`);
  for (let i = 0; i < BOOTS; i++) {
    for (const subject of all) {
      const server = await startServer(subject, 'cookie', { redis });
      times.get(subject)!.push(server.bootMs);
      await server.stop();
    }
  }
  const rows = [];
  for (const subject of all) {
    const row = [ subject.name, spread(times.get(subject)!) ];
    for (const bytes of sizesIn('memory')) row.push(subject.sessions === 'none' ? '' : String(await heapPerSession(subject, bytes, redis)));
    rows.push(row);
  }
  table(`Boot time, median [quartiles] of ${BOOTS}, and heap per session in memory, of ${SESSIONS}`,
    [ '', 'boot ms', ...sizesIn('memory').map(bytes => `heap bytes, session of ${bytes} B`) ], rows);
}

async function heapPerSession(subject: Subject, bytes: number, redis: number): Promise<number> {
  progress(`heap of ${subject.name}, ${bytes} bytes`);
  const server = await startServer(subject, 'memory', { redis });
  await signIn(server, 1000, bytes); // compiles what is used
  const before = await server.heap();
  await signIn(server, SESSIONS, bytes);
  const used = await server.heap() - before;
  await server.stop();
  return Math.round(used / SESSIONS);
}
