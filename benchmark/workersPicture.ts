// Draws the requests per second of several processes, as docs/scaling.svg.
import fs from 'node:fs';
import path from 'node:path';
import { LEFT, STYLE } from './picture';
import { grouped, machine, median, progress, quantile } from './report';
import { svg, textAt as text } from '../scripts/svg';
import type { Subject } from './cases';

const FILE = path.join(__dirname, '../docs/scaling.svg');
const PANEL = 400;
const WIDTH = PANEL * 2 + LEFT * 2;
const BASE = 300;
const HIGHEST = 180;
const BAR = 44;

export const ACTIONS = [ 'read', 'write' ] as const;
const TITLES = { read: 'reads', write: 'changes' };

export interface Scaled {
  processes: number;
  action: typeof ACTIONS[number];
  subject: Subject;
  /** One for each round at full load; CPU in µs for a request. */
  perSecond: number[];
  cpu: number[];
  redisCpu: number[];
  loadCpu: number[];
  /** In ms, of all rounds at the steady rate. */
  latencies: number[];
}

export function draw(results: Scaled[]): void {
  const most = Math.max(...results.map(({ perSecond }) => quantile(perSecond, 0.75)));
  const height = (perSecond: number) => perSecond / most * HIGHEST;
  const legend = results.slice(0, 2).map(({ subject }, i) =>
    `<rect x="${LEFT + i * 150}" y="42" width="12" height="12" class="${subject.sessions}"/>${text(LEFT + 18 + i * 150, 52, subject.name)}`);
  const panels = ACTIONS.map((action, panel) => {
    const x = LEFT + panel * PANEL;
    const shown = results.filter(each => each.action === action);
    const counts = [ ...new Set(shown.map(({ processes }) => processes)) ];
    const bars = shown.map(({ processes, subject, perSecond }) => {
      const group = counts.indexOf(processes);
      const left = x + 10 + group * 125 + (subject.sessions === 'always' ? BAR + 8 : 0);
      const [ low, middle, high ] = [ 0.25, 0.5, 0.75 ].map(part => height(quantile(perSecond, part)));
      return `<rect x="${left}" y="${(BASE - middle).toFixed(1)}" width="${BAR}" height="${middle.toFixed(1)}" class="${subject.sessions}"/>
<path d="M${left + BAR / 2} ${(BASE - low).toFixed(1)}V${(BASE - high).toFixed(1)}" class="whisker"/>
${text(left + 4, Math.round(BASE - high - 6), grouped(median(perSecond)), 'small')}`;
    });
    const labels = counts.map((count, group) => text(x + 24 + group * 125, BASE + 18, `${count} process${count > 1 ? 'es' : ''}`, 'small'));
    return [ text(x + 10, 84, TITLES[action], 'head'), ...bars, ...labels ].join('\n');
  });
  const title = 'Requests per second of processes that share one Redis: more is better';
  const notes = [ 'Sessions of 200 bytes; median and quartiles. The servers, Redis and the load share one machine.', machine() ]
    .map((note, i) => text(LEFT, BASE + 44 + 18 * i, note, 'small'));
  fs.writeFileSync(FILE, svg(title, WIDTH, BASE + 74, STYLE, [ text(LEFT, 26, title, 'title'), ...legend, ...panels, ...notes ]));
  progress(`drawn: ${path.relative(process.cwd(), FILE)}`);
}
