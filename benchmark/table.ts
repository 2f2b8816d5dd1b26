export const median = (values: number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

/** Prints rows in columns. */
export function table(head: string[], rows: string[][]): void {
  const widths = head.map((_, i) => Math.max(...[ head, ...rows ].map(row => row[i].length)));
  for (const row of [ head, ...rows ]) console.log(row.map((cell, i) => (i ? cell.padStart(widths[i]) : cell.padEnd(widths[i]))).join('  '));
}
