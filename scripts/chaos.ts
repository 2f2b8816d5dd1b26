// Two workers under load while their store crashes, stalls and is cut off: `npm run chaos -- 60` for a minute of each.
import { chaosOfCluster, chaosOfFailover, chaosOfOne, type Report, SERVER_NAMES } from '../test/support/chaos';

function print(title: string, { requests, perSecond, statuses, slowest, sessions, committed, wrong }: Report): void {
  const answers = Object.entries(statuses).map(([ status, times ]) => `${status}: ${times}`);
  console.log(`${title}
    ${requests} requests, ${perSecond.toFixed(0)} a second; answers ${answers.join(', ')}; the slowest took ${slowest.toFixed(0)} ms
    ${sessions} sessions, ${committed} changes answered with 2xx; wrong or missing later: ${wrong}`);
}

async function main() {
  const seconds = Number(process.argv[2] ?? 60);
  const users = 40;
  for (const name of SERVER_NAMES) print(`${name} killed 3 times, stalled, cut off 3 times`, await chaosOfOne(seconds, users, name));
  print('failed over by Sentinel', await chaosOfFailover(seconds, users));
  print('a master of a Cluster lost', await chaosOfCluster(seconds, users));
}

main().then(() => process.exit(), err => { console.error(err); process.exit(1); });
