import { execFileSync } from 'node:child_process';
import os from 'node:os';

/** What so large a part of the values is not above: 0.5 for the median. */
export function quantile(values: number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))];
}

export const median = (values: number[]): number => quantile(values, 0.5);

/** Median and quartiles. */
export const spread = (values: number[], digits = 0): string =>
  `${median(values).toFixed(digits)} [${quantile(values, 0.25).toFixed(digits)}–${quantile(values, 0.75).toFixed(digits)}]`;

/** The ratio of the medians, and between what it lies with 95 % confidence, as far as the rounds tell (bootstrap). */
export function ratioOf(ours: number[], theirs: number[]): { value: number; low: number; high: number } {
  const ratios = Array.from({ length: 2000 }, () => {
    const rounds = ours.map(() => Math.floor(Math.random() * ours.length));
    return median(rounds.map(i => ours[i])) / median(rounds.map(i => theirs[i]));
  });
  return { value: median(ours) / median(theirs), low: quantile(ratios, 0.025), high: quantile(ratios, 0.975) };
}

/** Prints rows in columns. */
export function table(title: string, head: string[], rows: string[][]): void {
  const widths = head.map((_, i) => Math.max(...[ head, ...rows ].map(row => row[i].length)));
  const line = (row: string[]) => row.map((cell, i) => (i ? cell.padStart(widths[i]) : cell.padEnd(widths[i]))).join('  ');
  console.log([ '', title, '', ...[ head, ...rows ].map(line) ].join('\n'));
}

/** Prints rows as a table of a document. */
export function markdown(title: string, head: string[], rows: string[][]): void {
  console.log([ '', `${title}:`, '', ...[ head, head.map(() => '---'), ...rows ].map(row => `| ${row.join(' | ')} |`) ].join('\n'));
}

/** What was measured, and on what. */
export function machine(): string {
  const commit = execFileSync('git', [ 'rev-parse', '--short', 'HEAD' ], { cwd: __dirname, encoding: 'utf8' }).trim();
  return `commit ${commit}, Node.js ${process.versions.node}, ${os.cpus()[0].model.trim()}, cores: ${os.availableParallelism()}`;
}

/** As documents have it. */
export const grouped = (number: number): string => Math.round(number).toLocaleString('en');

/** Says on stderr what is going on. */
export function progress(what: string): void {
  process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${what}\n`);
}
