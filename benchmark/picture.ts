// Draws what a request costs, as docs/benchmark.svg: for light and dark, from the figures of one run.
import fs from 'node:fs';
import path from 'node:path';
import { type Action, ACTIONS, type Kept, KEPT, sizesIn, type Subject } from './cases';
import { machine, median, progress, quantile } from './report';
import type { Options } from './options';
import { svg, textAt as text } from '../scripts/svg';

const FILE = path.join(__dirname, '../docs/benchmark.svg');
const COLUMN = 320;
export const LEFT = 12;
const BAR = 15;
const TOP = 78;
const WIDTH = COLUMN * KEPT.length + LEFT * 2;

/** Which sessions are shown, each in a style of its own. */
const LEGEND = [[ 'egg-session', 'egg-session' ], [ 'always', 'egg-tegg-session' ], [ 'injected', 'load: \'injected\'' ], [ 'peer', 'other frameworks' ]];
export const STYLE = `
  text { font: 12px system-ui, sans-serif; fill: #24292f }
  .title { font-size: 15px; font-weight: 600 } .head { font-weight: 600 } .small { font-size: 11px; fill: #57606a }
  .egg-session { fill: #8c959f } .always { fill: #54aeff } .injected { fill: #0969da } .peer { fill: #d4c5a9 } .whisker { stroke: #24292f }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .small { fill: #9198a1 } .whisker { stroke: #e6edf3 }
    .egg-session { fill: #6e7681 } .always { fill: #388bfd } .injected { fill: #79c0ff } .peer { fill: #7d6f52 }
  }`;

export interface Result {
  kept: Kept;
  bytes: number;
  action: Action;
  subject: Subject;
  /** One for each round: CPU in µs beyond the round of the bare framework; for that, all of it. */
  cpu: number[];
  /** The least of them all, beyond the least of the bare framework. */
  least: number;
  perSecond: number[];
  latencies: number[];
}

/** Draws the small sessions: the shape of the large ones is the same. */
export function draw(results: Result[], { rounds, requests }: Options): void {
  const shown = results.filter(result => result.bytes === sizesIn(result.kept)[0] && LEGEND.some(([ kind ]) => kind === result.subject.sessions));
  const longest = Math.max(...shown.map(({ cpu }) => quantile(cpu, 0.75)));
  const labels = 125;
  const scale = (micros: number) => Math.max(0, micros) / longest * (COLUMN - labels - 50);
  let height = 0;
  const columns = KEPT.map((kept, i) => {
    const x = LEFT + i * COLUMN;
    let y = TOP;
    const parts = [ text(x, y, kept === 'cookie' ? 'in the cookie' : `in ${kept}`, 'head') ];
    for (const action of ACTIONS) {
      parts.push(text(x, y += 24, action, 'head small'));
      for (const result of shown.filter(one => one.kept === kept && one.action === action)) {
        const [ low, middle, high ] = [ quantile(result.cpu, 0.25), median(result.cpu), quantile(result.cpu, 0.75) ];
        const start = x + labels;
        const line = (y += BAR + 2) - 3;
        parts.push(text(x, y, result.subject.name, 'small'),
          `<rect x="${start}" y="${y - 11}" width="${Math.max(1, scale(middle)).toFixed(1)}" height="${BAR - 2}" class="${result.subject.sessions}"/>`,
          `<path d="M${(start + scale(low)).toFixed(1)} ${line - 2}H${(start + scale(high)).toFixed(1)}" class="whisker"/>`,
          text(Math.round(start + scale(Math.max(middle, high)) + 5), y, middle.toFixed(0), 'small'));
      }
    }
    height = Math.max(height, y);
    return parts.join('\n');
  });
  const legend = LEGEND.map(([ kind, name ], i) =>
    `<rect x="${LEFT + i * 150}" y="42" width="12" height="12" class="${kind}"/>${text(LEFT + 18 + i * 150, 52, name)}`);
  const title = 'CPU for a request beyond the same one without a session, in µs: less is better';
  const notes = [
    `Sessions of 200 bytes; median and quartiles of ${rounds} rounds of ${requests} requests; other frameworks beyond their own bare framework.`, machine(),
  ].map((note, i) => text(LEFT, height + 28 + 18 * i, note, 'small'));
  fs.writeFileSync(FILE, svg(title, WIDTH, height + 58, STYLE, [ text(LEFT, 26, title, 'title'), ...legend, ...columns, ...notes ]));
  progress(`drawn: ${path.relative(process.cwd(), FILE)}`);
}
