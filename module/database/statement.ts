import { createHash } from 'node:crypto';

/** The values of a statement, by name. */
export type Values = Readonly<Record<string, string | number | null>>;

/** A statement as a driver takes it. */
export interface Statement {
  readonly text: string;
  /** The names of its values, in order. */
  readonly names: readonly string[];
  /** No other has it, also in other versions of this package. */
  readonly name: string;
}

/** A name in a statement, as `:key`; `::text` is a type. */
const NAME = /(?<![:\w]):([a-z]\w*)/gi;

/** With `$1`, `$2` …, for PostgreSQL: a value that is named twice is sent once. */
export function inDollars(sql: string): Statement {
  const names: string[] = [];
  const text = sql.replace(NAME, (_, name) => {
    if (!names.includes(name)) names.push(name);
    return `$${names.indexOf(name) + 1}`;
  });
  return statement(text, names);
}

/** With `?` for each value, for MySQL. */
export function inQuestionMarks(sql: string): Statement {
  const names: string[] = [];
  const text = sql.replace(NAME, (_, name) => {
    names.push(name);
    return '?';
  });
  return statement(text, names);
}

function statement(lines: string, names: string[]): Statement {
  const text = lines.replace(/\s+/g, ' ').trim(); // one line in the log of the server
  return { text, names, name: `session_${createHash('sha256').update(text).digest('hex')
    .slice(0, 24)}` };
}

/** Statements, each under its name. */
export const compile = <T extends Record<string, string>>(as: (sql: string) => Statement, sql: T) =>
  Object.fromEntries(Object.entries(sql).map(([ name, text ]) => [ name, as(text) ])) as Record<keyof T, Statement>;
