import { createHash } from 'node:crypto';
import { LONGEST, ONE_DAY } from '../record/SessionRecord';
import type { SessionChanges, SessionMaxAge, SessionRecord } from './SessionStore';
import { CLOCK_MARGIN, newRevision } from './written';

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
 *
 * Times are by the clock of Redis wherever a script writes or compares them: those of the processes that it serves may differ.
 * `_createdAt` is by the clock of the process that made the record; where that is another than Redis' own, `_storedAt` has the
 * same by the clock of Redis, in the second line.
 */
export function textOf(record: SessionRecord, maxAge: SessionMaxAge, ms: number): string {
  const expire = String(maxAge === 'session' ? null : Date.now() + ms).padStart(13);
  const { _storedAt, _createdAt } = record;
  // these first, where a script finds them without reading all of it
  const lines = linesOf({ _storedAt, _createdAt, ...record }).filter(line => !line.endsWith(':'));
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

/** The number of changes from which on MERGE makes a table. */
const MANY = 100;

/** The ARGV of MERGE. */
export function argsOf({ set, unset, replace, renew = true }: SessionChanges, lifetime: SessionMaxAge | undefined,
  absoluteMaxAge: string): string[] {
  const changes = linesOf({ ...set, ...Object.fromEntries(unset.map(name => [ name, undefined ])) });
  return [
    String(lifetime ?? ''), absoluteMaxAge, String(Date.now()), String(newRevision()), flag(replace), flag(renew),
    flag(changes.length > MANY), changes.join(''),
  ];
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
  local function ttl(lifetime) return tonumber(lifetime == 'session' and '${ONE_DAY}' or lifetime) end
  local function expire(lifetime, till) return lifetime == 'session' and '         null' or string.format('%13.0f', till) end
`;
/** The number of bytes that `read` looks at; the time of creation is among them in most records. */
const HEAD = 159;

const CLOCK = `
  local function clock()
    if redis.replicate_commands then redis.replicate_commands() end -- or Redis 4 would write nothing after this
    local time = redis.call('TIME')
    return time[1] * 1000 + math.floor(time[2] / 1000)
  end
  -- a time in a text, that is in a line of its own
  local function at(text, name)
    local _, to = string.find(text, '\\n,"' .. name .. '":', 1, true)
    return to and tonumber(string.match(text, '^(%d+)\\n', to + 1))
  end
  local function created(text) return at(text, '_storedAt') or at(text, '_createdAt') end
  -- by the clock of Redis, a time that another clock has given at the same moment as 'theirs'; nil when they go alike
  local function corrected(time, theirs, now)
    local ahead = theirs - now
    return time and math.abs(ahead) > ${CLOCK_MARGIN} and time - ahead or nil
  end
  local function stored(time) return time and string.format('\\n,"_storedAt":%.0f', time) or '' end
`;

/**
 * For a record that is not kept for longer than `absoluteMaxAge`. ARGV: the text, for how many ms, the time of the process in ms.
 */
export const CREATE = script(`${READ}${CLOCK}
  local text, now = ARGV[1], clock()
  local _, lifetime = read(text)
  local at = string.find(text, '\\n', 1, true)
  redis.call('SET', KEYS[1], '${EXPIRE}' .. expire(lifetime, now + ARGV[2]) .. string.sub(text, ${EXPIRE.length + 14}, at - 1) ..
    stored(corrected(created(text), ARGV[3], now)) .. string.sub(text, at), 'PX', ARGV[2])
`);

/**
 * ARGV: `absoluteMaxAge` in ms or '', 1 to return what is there. Returns the lifetime otherwise.
 * PEXPIRE comes first: after it, a server that is out of memory writes what takes no more.
 */
export const TOUCH = script(`${READ}${CLOCK}
  local key, absolute, now = KEYS[1], ARGV[1], clock()
  local head = redis.call('GETRANGE', key, 0, ${HEAD})
  local rev, lifetime = read(head)
  if rev then
    local ms = ttl(lifetime)
    if absolute ~= '' then
      local from = created(head) or created(redis.call('GET', key))
      if from then ms = math.min(ms, from + absolute - now) end
    end
    if ms <= 0 then
      redis.call('DEL', key)
      return false
    end
    redis.call('PEXPIRE', key, ms)
    redis.call('SETRANGE', key, ${EXPIRE.length}, expire(lifetime, now + ms))
  end
  if ARGV[2] == '1' then return redis.call('GET', key) end
  return rev and lifetime
`);

/**
 * ARGV: the `_rev` that the record must have, the text, `absoluteMaxAge` in ms or '', and, when the text has a time of creation that
 * the record had not, the time of the process in ms. Returns 1 if it was written.
 */
export const COMPARE_AND_SET = script(`${READ}${CLOCK}
  local key, rev, text, absolute, theirs = KEYS[1], unpack(ARGV)
  if read(redis.call('GETRANGE', key, 0, ${HEAD})) ~= rev then return false end
  local _, lifetime = read(text)
  local now, ms, from = clock(), ttl(lifetime), nil
  if absolute ~= '' then
    from = theirs ~= '' and corrected(created(text), theirs, now) or nil
    local made = from or created(text)
    if made then ms = math.min(ms, made + absolute - now) end
  end
  if ms <= 0 then
    redis.call('DEL', key)
    return false
  end
  local at = string.find(text, '\\n', 1, true)
  redis.call('SET', key, '${EXPIRE}' .. expire(lifetime, now + ms) .. string.sub(text, ${EXPIRE.length + 14}, at - 1) .. stored(from) ..
    string.sub(text, at), 'PX', ms)
  return 1
`);

/**
 * ARGV: the lifetime, or '' for the record's own, `absoluteMaxAge` in ms or '', the time of the process in ms, the new `_rev`, 1 to
 * remove all but what is about the record, 1 to let it live on, 1 for many changes, the lines of what changes; of what is
 * removed, only the beginning. Returns the lifetime. A search for each line is the faster way for few of them, a table of all
 * for many.
 */
export const MERGE = script(`${READ}${CLOCK}
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

  local key, lifetime, absolute, theirs, rev, replace, renew, many, changes = KEYS[1], unpack(ARGV)
  local now = clock()
  local text = redis.call('GET', key)
  local found, own = read(text)
  if not found then return false end
  if lifetime == '' then lifetime = own end
  local ms, till, new = ttl(lifetime), nil, nil
  if renew == '0' then
    local left = redis.call('PTTL', key)
    if left >= 0 then ms = math.max(left, 1) end
    till = sub(text, ${EXPIRE.length + 1}, ${EXPIRE.length + 13})
  end
  if absolute ~= '' then
    local from = created(text)
    if not from then
      new = corrected(at(changes .. '\\n', '_createdAt'), theirs, now)
      from = new or at(changes .. '\\n', '_createdAt')
    end
    if from and from + absolute - now < ms then ms, till = from + absolute - now, nil end
  end
  if ms <= 0 then
    redis.call('DEL', key)
    return false
  end
  local parts = {
    '${EXPIRE}' .. (till or expire(lifetime, now + ms)) .. ',"_rev":' .. rev ..
      (lifetime == 'session' and ',"_session":true' or ',"_maxAge":' .. lifetime) .. stored(new)
  }
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

/** ARGV: the key of a session, for how many ms at least it is the principal's, or '' to remove it. */
export const INDEX = script(`${CLOCK}
  local key, session, ms, now = KEYS[1], ARGV[1], ARGV[2], clock()
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
  if ms == '' then redis.call('ZREM', key, session)
  elseif now + ms > tonumber(redis.call('ZSCORE', key, session) or 0) then redis.call('ZADD', key, now + ms, session) end
  local last = redis.call('ZRANGE', key, -1, -1, 'WITHSCORES')
  if last[2] then redis.call('PEXPIRE', key, string.format('%.0f', last[2] - now)) end
`);
