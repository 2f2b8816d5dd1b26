import { createHash, randomInt } from 'node:crypto';
import { LONGEST, ONE_DAY } from '../record';
import type { SessionChanges, SessionMaxAge, SessionRecord } from './SessionStore';

/**
 * A record in Redis is JSON with a line for each member, which begins with its comma:
 *
 *     {"_expire":1764000000000,"_rev":81985529216486,"_maxAge":86400000
 *     ,"userId":1
 *     ,"cart":[]
 *     }
 *
 * JSON has no line breaks of its own, so that a script finds `\n,"userId":` without parsing anything. The time of expiry
 * has its place and its width: it is overwritten there when the session is renewed. A tombstone has no such beginning.
 */
export function textOf(record: SessionRecord, maxAge: SessionMaxAge, ms: number): string {
  const expire = String(maxAge === 'session' ? null : Date.now() + ms).padStart(13);
  const lines = linesOf(record).filter(line => !line.endsWith(':'));
  const lifetime = maxAge === 'session' ? '"_session":true' : `"_maxAge":${ms}`;
  return `{"_expire":${expire},"_rev":${newRevision()},${lifetime}${lines.join('')}\n}`;
}

/**
 * The record, or the tombstone, in a text.
 *
 * @throws SyntaxError when it is neither
 */
export function recordIn(text: string | null): SessionRecord | undefined {
  if (text === null) return undefined;
  if (!text.startsWith(EXPIRE) && !text.startsWith(SUCCESSOR)) throw new SyntaxError('no record of a session');
  return JSON.parse(text);
}

/** The line of each member but those of the first; only its beginning where JSON has no value for it. */
function linesOf(record: SessionRecord): string[] {
  const lines = [];
  for (const name of Object.keys(record)) {
    if (!FIRST_LINE.has(name)) lines.push(`\n,${JSON.stringify(name)}:${JSON.stringify(record[name]) ?? ''}`);
  }
  return lines;
}

/** Of every other record it is another. */
const newRevision = () => String(randomInt(2 ** 47));

/** From how many changes on MERGE makes a table. */
const MANY = 100;

/** The ARGV of MERGE. */
export function argsOf({ set, unset, replace, renew = true }: SessionChanges, lifetime: SessionMaxAge | undefined): string[] {
  const changes = linesOf({ ...set, ...Object.fromEntries(unset.map(name => [ name, undefined ])) });
  return [ String(lifetime ?? ''), String(Date.now()), newRevision(), flag(replace), flag(renew), flag(changes.length > MANY), changes.join('') ];
}

const flag = (value: boolean) => (value ? '1' : '0');

const FIRST_LINE = new Set([ '_expire', '_rev', '_maxAge', '_session' ]);
const EXPIRE = '{"_expire":';
const SUCCESSOR = '{"_successor":';

/** A reply, which is a string, a number, a Buffer, true or nothing, as the client and its options have it (`stringNumbers`, RESP 3). */
export function textIn(reply: unknown): string | null {
  if (reply === null || reply === undefined || reply === false) return null;
  return reply instanceof Uint8Array ? Buffer.from(reply).toString() : String(reply);
}

export interface Script {
  lua: string;
  sha: string;
}

/** A script, with the hash that a server knows it by. */
export const script = (lua: string): Script => ({ lua, sha: createHash('sha1').update(lua).digest('hex') });

const READ = `
  -- the _rev of a record and its lifetime, in ms or 'session'; nil when it is none
  local function read(text)
    local rev, name, value = string.match(text or '', '^{"_expire":.............,"_rev":(%d+),"(_%a+)":([^\\n]+)\\n')
    if name == '_session' then return rev, 'session' end
    local ms = tonumber(value) or 0
    return rev, string.format('%.0f', ms > 0 and math.min(math.ceil(ms), ${LONGEST}) or ${ONE_DAY})
  end
  local function ttl(lifetime) return lifetime == 'session' and '${ONE_DAY}' or lifetime end
  local function expire(lifetime, now) return lifetime == 'session' and '         null' or string.format('%13.0f', now + lifetime) end
`;
/** How much of a text `read` looks at. */
const HEAD = 99;

/**
 * ARGV: the time in ms, 1 to return what is there. Returns the lifetime otherwise.
 * PEXPIRE comes first: after it, a server that is out of memory writes what takes no more.
 */
export const TOUCH = script(`${READ}
  local head = redis.call('GETRANGE', KEYS[1], 0, ${HEAD})
  local rev, lifetime = read(head)
  local till = tonumber(string.sub(head, ${EXPIRE.length + 1}, ${EXPIRE.length + 13}))
  if till and till < tonumber(ARGV[1]) then rev = false end -- the clocks differ: it has expired
  if rev then
    redis.call('PEXPIRE', KEYS[1], ttl(lifetime))
    redis.call('SETRANGE', KEYS[1], ${EXPIRE.length}, expire(lifetime, ARGV[1]))
  end
  if ARGV[2] == '1' then return redis.call('GET', KEYS[1]) end
  return rev and lifetime
`);

/** ARGV: the `_rev` that the record must have, the text, for how many ms. Returns 1 if it was written. */
export const COMPARE_AND_SET = script(`${READ}
  if read(redis.call('GETRANGE', KEYS[1], 0, ${HEAD})) ~= ARGV[1] then return false end
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
  return 1
`);

/**
 * ARGV: the lifetime, or '' for the record's own, the time in ms, the new `_rev`, 1 to remove all but what is about the
 * record, 1 to let it live on, 1 for many changes, the lines of what changes; of what is removed, only the beginning.
 * Returns the lifetime. A search for each line is the faster way for few of them, a table of all for many.
 */
export const MERGE = script(`${READ}
  local find, sub = string.find, string.sub
  -- calls each(beginning, line) for each line
  local function walk(lines, each)
    local from = 1
    while from <= #lines do
      local to = find(lines, '\\n', from + 1, true) or #lines + 1
      local quote = find(lines, '["\\\\]', from + 3)
      while string.byte(lines, quote) ~= 34 do quote = find(lines, '["\\\\]', quote + 2) end
      each(sub(lines, from, quote + 1), sub(lines, from, to - 1))
      from = to
    end
  end

  local key, lifetime, now, rev, replace, renew, many, changes = KEYS[1], unpack(ARGV)
  if renew == '0' and redis.replicate_commands then redis.replicate_commands() end -- Redis 4 would refuse the PTTL
  local text = redis.call('GET', key)
  local found, own = read(text)
  if not found then return false end
  if lifetime == '' then lifetime = own end
  local ms, till = ttl(lifetime)
  if renew == '1' then till = expire(lifetime, now)
  else
    local left = redis.call('PTTL', key)
    if left >= 0 then ms = math.max(left, 1) end
    till = sub(text, ${EXPIRE.length + 1}, ${EXPIRE.length + 13})
  end
  local parts = { '${EXPIRE}' .. till .. ',"_rev":' .. rev .. (lifetime == 'session' and ',"_session":true' or ',"_maxAge":' .. lifetime) }
  local at = find(text, '\\n', 1, true)

  if replace == '1' then
    local about, from = '', find(text, '\\n,"_', 1, true)
    while from do
      local to = find(text, '\\n', from + 1, true)
      about = about .. sub(text, from, to - 1)
      from = find(text, '\\n,"_', to, true)
    end
    text, at = about .. '\\n}', 1
  end

  if many == '0' then
    local edits, added = {}, ''
    walk(changes, function(name, line)
      if line == name then line = '' end
      local from = find(text, name, at, true)
      if from then edits[#edits + 1] = { from = from, to = find(text, '\\n', from + 1, true), line = line }
      else added = added .. line end
    end)
    table.sort(edits, function(a, b) return a.from < b.from end)
    for _, edit in ipairs(edits) do
      parts[#parts + 1] = sub(text, at, edit.from - 1)
      parts[#parts + 1] = edit.line
      at = edit.to
    end
    parts[#parts + 1] = sub(text, at, -3)
    parts[#parts + 1] = added .. '\\n}'
  else
    local numbers = {}
    local function put(name, line)
      local number = numbers[name] or #parts + 1
      numbers[name] = number
      parts[number] = line == name and '' or line
    end
    walk(sub(text, at, -3), put)
    walk(changes, put)
    parts[#parts + 1] = '\\n}'
  end
  redis.call('SET', key, table.concat(parts), 'PX', ms)
  return lifetime
`);

/**
 * ARGV: the tombstone, how long it stays in ms. Returns what was there.
 * DEL comes first: after it, a server that is out of memory writes the tombstone.
 */
export const RETIRE = script(`
  local found = redis.pcall('GET', KEYS[1])
  local other = type(found) == 'table'
  if other and not string.find(found.err, 'WRONGTYPE', 1, true) then return found end
  if not found or (not other and string.sub(found, 1, ${SUCCESSOR.length}) == '${SUCCESSOR}') then return found end
  redis.call('DEL', KEYS[1])
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  return not other and found
`);

/** ARGV: the key of a session, the time in ms, until when the session is the principal's, or '' to remove it */
export const INDEX = script(`
  local key, session, now, till = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
  if till == '' then redis.call('ZREM', key, session)
  elseif tonumber(till) > tonumber(redis.call('ZSCORE', key, session) or 0) then redis.call('ZADD', key, till, session) end
  local last = redis.call('ZRANGE', key, -1, -1, 'WITHSCORES')
  if last[2] then redis.call('PEXPIRE', key, string.format('%.0f', last[2] - now)) end
`);
