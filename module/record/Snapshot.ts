import type { SessionChanges, SessionRecord } from './SessionRecord';
import { refused } from './storable';

/** A field as JSON has it: itself, or the text of an object or an array. */
type Field = string | number | boolean | null | Json;

class Json {
  constructor(readonly text: string) {}
}

/** A session's data at one moment, as JSON has them. Most requests make one at the start and one at the end, and compare them. */
export class Snapshot {
  static readonly EMPTY = new Snapshot(new Map());

  private constructor(private readonly fields: ReadonlyMap<string, Field>) {}

  /** @throws TypeError that names the field that JSON can't hold */
  static of(data: SessionRecord): Snapshot {
    const fields = new Map<string, Field>();
    for (const name of Object.keys(data)) {
      const field = fieldOf(name, data[name]);
      if (field !== undefined) fields.set(name, field);
    }
    return new Snapshot(fields);
  }

  get size(): number {
    return this.fields.size;
  }

  /** Whether both have the same fields; their order does not matter. */
  equals({ fields }: Snapshot): boolean {
    if (fields.size !== this.fields.size) return false;
    for (const [ name, field ] of this.fields) if (!isSame(field, fields.get(name))) return false;
    return true;
  }

  /** The names of the objects and lists that `before` does not have like that. */
  objectsNotIn(before: Snapshot): string[] {
    const names: string[] = [];
    for (const [ name, field ] of this.fields) if (field instanceof Json && !isSame(field, before.fields.get(name))) names.push(name);
    return names;
  }

  /** What turns `before` into these data. A change inside a field counts as a change of the field. */
  changesFrom(before: Snapshot): SessionChanges {
    const set: SessionRecord = {};
    for (const [ name, field ] of this.fields) if (!isSame(field, before.fields.get(name))) set[name] = valueOf(field);
    return { set, unset: [ ...before.fields.keys() ].filter(name => !this.fields.has(name)), replace: false };
  }

  /** A copy of the data. */
  toData(): SessionRecord {
    const data: SessionRecord = {};
    for (const [ name, field ] of this.fields) data[name] = valueOf(field);
    return data;
  }

  /** The data as JSON, with `more` members after them, which begin with a comma. */
  toJson(more: string): string {
    let members = '';
    for (const [ name, field ] of this.fields) members += `,${quoted(name)}:${jsonOf(field)}`;
    return `{${(members + more).slice(1)}}`;
  }
}

/** JSON.stringify takes longer than all else here, and most names need none of it. */
const quoted = (name: string) => (/^[\w-]+$/.test(name) ? `"${name}"` : JSON.stringify(name));

function jsonOf(field: Field): string {
  if (typeof field === 'string') return JSON.stringify(field);
  return field instanceof Json ? field.text : String(field);
}

const isSame = (a: Field, b: Field | undefined) => a === b || (a instanceof Json && b instanceof Json && a.text === b.text);

const valueOf = (field: Field): unknown => (field instanceof Json ? JSON.parse(field.text) : field);

function fieldOf(name: string, value: unknown): Field | undefined {
  switch (typeof value) {
    case 'string': case 'boolean': return value;
    case 'number': return Number.isFinite(value) ? value + 0 : null; // -0 becomes 0
    case 'undefined': case 'function': case 'symbol': return undefined;
    default: return value === null ? null : stringified(name, value);
  }
}

function stringified(name: string, value: unknown): Field | undefined {
  try {
    const text = JSON.stringify(value) as string | undefined;
    if (text === undefined) return undefined;
    return text[0] === '{' || text[0] === '[' ? new Json(text) : JSON.parse(text);
  } catch (err) {
    const [ reason ] = (err as Error).message.split('\n');
    throw refused(name, value, reason);
  }
}
