#include "scripts.h"

/* Only the consumer that holds an entry may settle it: XPENDING with our own name says what we still hold, in one look over
 * the range of the batch's ids; where so much of ours lies between that the look did not reach an entry, that one is asked
 * for. A group that is gone (the server came back empty) holds nothing, but what ran has run: its result is told all the
 * same. Answers what became of each entry: 1 settled, 0 somebody else's by now, 2 the group is gone; one number where it is
 * the same for all.
 *
 * KEYS: the stream; for each entry its result's key (or the stream's, with the value ""), or none at all where there are no
 * results. ARGV: group, consumer, ttl (ms; 0: none), "1" to delete what is acknowledged, how many, then the ids, the least
 * first, then the results.
 *
 * Deleting: XDEL walks half a node of the stream for each entry, and took a third of what Redis spent on a task; XTRIM takes a
 * node at once. It may only where what it takes is what was just acknowledged: where ours is the one group, and every entry of
 * the stream beside those is pending or was not delivered yet (the stream's length is those three, so that nobody's past lies
 * there: Python's workers leave theirs), up to the least that is pending, and nothing above what was delivered (a group that
 * was set back reads again). What it does not reach, or where the server does not say (6.2 knows no lag), XDEL does.
 *
 * One XPENDING an entry took another third; and an expiry that is a point in time spares SET the rewriting of its arguments. */
static const char ack_stream[] =
    "local call = redis.call\n"
    "local stream, group, n = KEYS[1], ARGV[1], tonumber(ARGV[5])\n"
    "local last, most = 5 + n, 2 * n + 16\n"
    "local page = redis.pcall('XPENDING', stream, group, ARGV[6], ARGV[last], most, ARGV[2])\n"
    "local gone, held, ours, k = page.err, nil, n, 1\n"
    "for i = 6, gone and 0 or last do\n"           /* both are sorted */
    "  local id = ARGV[i]\n"
    "  while page[k] and page[k][1] ~= id do k = k + 1 end\n"
    "  if not page[k] then ours = 0 break end\n"
    "  k = k + 1\n"
    "end\n"
    "if ours == 0 then\n"                          /* not all of them, or the look was too short */
    "  held = {}\n"
    "  for i = 1, #page do held[page[i][1]] = true end\n"
    "  for i = 6, last do\n"
    "    local id = ARGV[i]\n"
    "    if not held[id] and #page == most then\n"
    "      held[id] = #call('XPENDING', stream, group, id, id, 1, ARGV[2]) > 0\n"
    "    end\n"
    "    if held[id] then ours = ours + 1 end\n"
    "  end\n"
    "end\n"
    "if #KEYS > 1 and ours > 0 then\n"
    "  local px, at = nil, nil\n"
    "  if ARGV[3] ~= '0' then\n"
    "    local now = call('TIME')\n"
    "    px, at = 'PXAT', string.format('%.0f', now[1] * 1000 + math.floor(now[2] / 1000) + ARGV[3])\n"
    "  end\n"
    "  for i = 1, n do\n"
    "    local value = ARGV[last + i]\n"
    "    if value ~= '' and (not held or held[ARGV[5 + i]]) then\n"
    "      if px then call('SET', KEYS[1 + i], value, px, at) else call('SET', KEYS[1 + i], value) end\n"
    "    end\n"
    "  end\n"
    "end\n"
    "if gone then return 2 end\n"
    "if ours == 0 then return 0 end\n"
    "if held then\n"
    "  local told, ids = {}, {}\n"
    "  for i = 1, n do\n"
    "    told[i] = held[ARGV[5 + i]] and 1 or 0\n"
    "    if told[i] == 1 then ids[#ids + 1] = ARGV[5 + i] end\n"
    "  end\n"
    "  call('XACK', stream, group, unpack(ids))\n"
    "  if ARGV[4] == '1' then call('XDEL', stream, unpack(ids)) end\n"
    "  return ours == n and 1 or told\n"
    "end\n"
    "call('XACK', stream, group, unpack(ARGV, 6, last))\n"
    "if ARGV[4] ~= '1' then return 1 end\n"
    "local function after(a, b)\n"                 /* of two ids, which are 64 bits twice */
    "  local am, as = string.match(a, '(%d+)-(%d+)')\n"
    "  local bm, bs = string.match(b, '(%d+)-(%d+)')\n"
    "  if am == bm then am, bm = as, bs end\n"
    "  if #am ~= #bm then return #am > #bm end\n"
    "  return am > bm\n"
    "end\n"
    "local first = 6\n"                             /* of those that are still there */
    "if n >= 8 then\n"                              /* fewer are not worth the looks */
    "  local groups, length = redis.pcall('XINFO', 'GROUPS', stream), redis.pcall('XLEN', stream)\n"
    "  local pending, is = redis.pcall('XPENDING', stream, group), {}\n"
    "  if not groups.err and #groups > 1 then return 1 end\n"      /* another one came, and has it to read */
    "  for i = 1, groups[1] and #groups[1] or 0, 2 do is[groups[1][i]] = groups[1][i + 1] end\n"
    "  local cut = pending[2] or ARGV[last]\n"
    "  if is.lag and not pending.err and length == is.lag + pending[1] + n and not after(cut, is['last-delivered-id']) and\n"
    "     type(redis.pcall('XTRIM', stream, 'MINID', '=', cut)) == 'number' then\n"
    "    first = last + 1\n"
    "    while first > 6 and not after(cut, ARGV[first - 1]) do first = first - 1 end\n"
    "    if first > last then return 1 end\n"
    "  end\n"
    "end\n"
    "call('XDEL', stream, unpack(ARGV, first, last))\n"
    "return 1\n";

/* KEYS: our in-flight list, then as above. ARGV: ttl, how many, then the payloads, then the results. What runs is at the list's
 * end for the most part, the oldest last. */
static const char ack_list[] =
    "local call = redis.call\n"
    "local n, told, all, px, at = tonumber(ARGV[2]), {}, true, nil, nil\n"
    "if #KEYS > 1 and ARGV[1] ~= '0' then\n"
    "  local now = call('TIME')\n"
    "  px, at = 'PXAT', string.format('%.0f', now[1] * 1000 + math.floor(now[2] / 1000) + ARGV[1])\n"
    "end\n"
    "for i = 1, n do\n"
    "  local state, value = call('LREM', KEYS[1], -1, ARGV[2 + i]), #KEYS > 1 and ARGV[2 + n + i] or ''\n"
    "  if state > 0 and value ~= '' then\n"
    "    if px then call('SET', KEYS[1 + i], value, px, at) else call('SET', KEYS[1 + i], value) end\n"
    "  end\n"
    "  all = all and state == 1\n"
    "  told[i] = state\n"
    "end\n"
    "return all and 1 or told\n";

/* What all moves share: to = "now" (back into the queue), "later" (the delayed set, with a due time on the server's clock), or
 * "dead" (the dead-letter stream, with the reason). */
#define MOVE                                                                                                          \
    "if value ~= '' then\n"                                                                                           \
    "  if ttl == '0' then redis.call('SET', KEYS[5], value) else redis.call('SET', KEYS[5], value, 'PX', ttl) end\n" \
    "end\n"                                                                                                           \
    "if to == 'later' then\n"                                                                                         \
    "  local now = redis.call('TIME')\n"                                                                              \
    "  redis.call('ZADD', KEYS[3], now[1] * 1000 + math.floor(now[2] / 1000) + extra, payload)\n"                     \
    "elseif to == 'dead' then\n"                                                                                      \
    "  redis.call('XADD', KEYS[4], '*', 'data', payload, 'reason', extra, 'queue', KEYS[2])\n"

/* KEYS: stream, the queue's name, delayed set, dead letters, result's key. ARGV: group, consumer, id, drop, to, payload,
 * extra (ms, or the reason), result, ttl. */
static const char move_stream[] =
    "local to, payload, extra, value, ttl = ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9]\n"
    "local held = redis.pcall('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[3], 1, ARGV[2])\n"
    "if held.err or #held == 0 then return 0 end\n"
    MOVE
    "elseif to == 'now' then\n"
    "  redis.call('XADD', KEYS[1], '*', 'data', payload)\n"
    "end\n"
    "redis.call('XACK', KEYS[1], ARGV[1], ARGV[3])\n"
    "if ARGV[4] == '1' then redis.call('XDEL', KEYS[1], ARGV[3]) end\n"
    "return 1\n";

/* KEYS: in-flight list, queue, delayed set, dead letters, result's key. ARGV: what lies in the in-flight list, to, payload,
 * extra, result, ttl. */
static const char move_list[] =
    "local to, payload, extra, value, ttl = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]\n"
    "if redis.call('LREM', KEYS[1], 1, ARGV[1]) == 0 then return 0 end\n"
    MOVE
    "elseif to == 'now' then\n"
    "  redis.call('RPUSH', KEYS[2], payload)\n"
    "end\n"
    "return 1\n";

/* KEYS: the stream. ARGV: group, consumer, ids. Answers the ids that are not ours any more; nothing is taken back. */
static const char renew_stream[] =
    "local lost = {}\n"
    "for i = 3, #ARGV do\n"
    "  local held = redis.pcall('XPENDING', KEYS[1], ARGV[1], ARGV[i], ARGV[i], 1, ARGV[2])\n"
    "  if held.err or #held == 0 then lost[#lost + 1] = ARGV[i]\n"
    "  else redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[i], 'JUSTID') end\n"
    "end\n"
    "return lost\n";

/* KEYS: this worker's sign of life, the set of workers. ARGV: its name, lease in ms. 0: it had been given up. */
static const char renew_list[] =
    "local known = redis.call('EXISTS', KEYS[1])\n"
    "redis.call('SET', KEYS[1], '1', 'PX', ARGV[2])\n"
    "redis.call('SADD', KEYS[2], ARGV[1])\n"
    "return known\n";

/* KEYS: the stream. ARGV: group, consumer, what our names begin with, lease in ms, idle timeout of others in ms, how many,
 * from where. Answers where to go on, and {id, fields, deliveries so far} of each entry that is ours now. */
static const char claim_stream[] =
    "local out = {}\n"
    "local page = redis.pcall('XPENDING', KEYS[1], ARGV[1], ARGV[7], '+', 256)\n"
    "if page.err then return {'-', out} end\n"
    "local next = #page == 256 and ('(' .. page[256][1]) or '-'\n"
    "for _, e in ipairs(page) do\n"
    "  local ours = string.sub(e[2], 1, #ARGV[3]) == ARGV[3]\n"
    "  local idle = tonumber(ours and ARGV[4] or ARGV[5])\n"
    "  if e[3] >= idle then\n"
    "    if #out == tonumber(ARGV[6]) then next = '-' break end\n"
    "    local got = redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], idle, e[1])\n"
    "    if #got == 0 or not got[1] then redis.call('XACK', KEYS[1], ARGV[1], e[1])\n"
    "    else out[#out + 1] = {got[1][1], got[1][2], e[4]} end\n"
    "  end\n"
    "end\n"
    "return {next, out}\n";

/* KEYS: the queue, the set of workers, the counts of deaths. ARGV: what the lists and signs of life begin with, our name.
 * Answers how many payloads went back. */
static const char claim_list[] =
    "local moved = 0\n"
    "for _, name in ipairs(redis.call('SMEMBERS', KEYS[2])) do\n"
    "  if name ~= ARGV[2] and redis.call('EXISTS', ARGV[1] .. name .. ':alive') == 0 then\n"
    "    local list = ARGV[1] .. name\n"
    "    while true do\n"
    "      local payload = redis.call('LMOVE', list, KEYS[1], 'LEFT', 'RIGHT')\n"
    "      if not payload then break end\n"
    "      redis.call('HINCRBY', KEYS[3], redis.sha1hex(payload), 1)\n"
    "      redis.call('EXPIRE', KEYS[3], 86400)\n"
    "      moved = moved + 1\n"
    "    end\n"
    "    redis.call('SREM', KEYS[2], name)\n"
    "  end\n"
    "end\n"
    "return moved\n";

/* KEYS: the queue, our in-flight list, the counts of deaths. ARGV: how many. Answers payloads and how often each one's
 * worker died, in turn. A suspect is the last one: what lies beside it in the in-flight list would share its next death. */
static const char take_list[] =
    "local out = {}\n"
    "local any = redis.call('EXISTS', KEYS[3]) == 1\n"
    "for i = 1, tonumber(ARGV[1]) do\n"
    "  local payload = redis.call('LMOVE', KEYS[1], KEYS[2], 'RIGHT', 'LEFT')\n"
    "  if not payload then break end\n"
    "  out[#out + 1] = payload\n"
    "  local deaths = any and tonumber(redis.call('HGET', KEYS[3], redis.sha1hex(payload)) or '0') or 0\n"
    "  out[#out + 1] = deaths\n"
    "  if deaths > 0 then break end\n"
    "end\n"
    "return out\n";

/* KEYS: the counts of deaths. ARGV: a payload. */
static const char deaths[] = "return tonumber(redis.call('HGET', KEYS[1], redis.sha1hex(ARGV[1])) or '0')\n";

/* KEYS: the delayed set, the queue. ARGV: "list" or "stream". Answers how many moved, and in how many ms the next one is
 * due (-1: none). */
static const char due[] =
    "local t = redis.call('TIME')\n"
    "local now = t[1] * 1000 + math.floor(t[2] / 1000)\n"
    "local page = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, 128)\n"
    "for _, payload in ipairs(page) do\n"
    "  if ARGV[1] == 'list' then redis.call('LPUSH', KEYS[2], payload)\n"
    "  else redis.call('XADD', KEYS[2], '*', 'data', payload) end\n"
    "  redis.call('ZREM', KEYS[1], payload)\n"
    "end\n"
    "local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')\n"
    "return {#page, first[2] and math.max(0, math.ceil(first[2] - now)) or -1}\n";

/* KEYS: the stream. ARGV: group, consumer, what our names begin with, idle ms. Ours goes where nothing is pending under it;
 * so do those of workers of ours that have been dead for long. */
static const char leave_stream[] =
    "local all = redis.pcall('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])\n"
    "if all.err then return 0 end\n"
    "local gone = 0\n"
    "for _, c in ipairs(all) do\n"
    "  local f = {}\n"
    "  for i = 1, #c, 2 do f[c[i]] = c[i + 1] end\n"
    "  local ours = string.sub(f.name, 1, #ARGV[3]) == ARGV[3]\n"
    "  if f.pending == 0 and (f.name == ARGV[2] or (ours and f.idle > tonumber(ARGV[4]))) then\n"
    "    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], f.name)\n"
    "    gone = gone + 1\n"
    "  end\n"
    "end\n"
    "return gone\n";

/* KEYS: the set. ARGV: lease in ms, how many to take over, then what is looked for here. Answers what of that is not in the set
 * any more, and what is taken over. What is past its own time, the last word of a member, goes. */
static const char watch[] =
    "local t = redis.call('TIME')\n"
    "local now = t[1] * 1000 + math.floor(t[2] / 1000)\n"
    "local until_ms = string.format('%.0f', now + ARGV[1])\n"
    "local gone, taken = {}, {}\n"
    "for i = 3, #ARGV do\n"
    "  if redis.call('ZSCORE', KEYS[1], ARGV[i]) then redis.call('ZADD', KEYS[1], until_ms, ARGV[i])\n"
    "  else gone[#gone + 1] = ARGV[i] end\n"
    "end\n"
    "if ARGV[2] == '0' then return {gone, taken} end\n"
    "for _, mark in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[2])) do\n"
    "  if tonumber(string.match(mark, ' (%d+)$') or '0') < now then redis.call('ZREM', KEYS[1], mark)\n"
    "  else\n"
    "    redis.call('ZADD', KEYS[1], until_ms, mark)\n"
    "    taken[#taken + 1] = mark\n"
    "  end\n"
    "end\n"
    "return {gone, taken}\n";

/* KEYS: dead letters, the queue, the counts of deaths of a list (or the queue again). ARGV: the entry's id, "list" or "stream".
 * Answers 1: sent; 0: it is not there; -1: it holds nothing to send. What died may die again as often as anything else. */
static const char requeue[] =
    "local got = redis.call('XRANGE', KEYS[1], ARGV[1], ARGV[1])\n"
    "if #got == 0 then return 0 end\n"
    "local f, data = got[1][2], ''\n"
    "for i = 1, #f, 2 do if f[i] == 'data' then data = f[i + 1] end end\n"
    "if data == '' then return -1 end\n"
    "if ARGV[2] == 'list' then\n"
    "  redis.call('LPUSH', KEYS[2], data)\n"
    "  redis.call('HDEL', KEYS[3], redis.sha1hex(data))\n"
    "else\n"
    "  redis.call('XADD', KEYS[2], '*', 'data', data)\n"
    "end\n"
    "redis.call('XDEL', KEYS[1], ARGV[1])\n"
    "return 1\n";

/* KEYS: the stream. ARGV: group, consumer, id, how long it is to have been idle in ms, how often it is to have been handed out. */
static const char count_stream[] =
    "local held = redis.pcall('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[3], 1, ARGV[2])\n"
    "if held.err or #held == 0 then return 0 end\n"
    "redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[3], 'IDLE', ARGV[4], 'RETRYCOUNT', ARGV[5], 'JUSTID')\n"
    "return 1\n";

/* KEYS: the counts of deaths. ARGV: a payload, how many more. */
static const char count_list[] = "return redis.call('HINCRBY', KEYS[1], redis.sha1hex(ARGV[1]), ARGV[2])\n";

const char *const taskiq_script_sources[TASKIQ_SCRIPTS] = {
    [TASKIQ_ACK_STREAM] = ack_stream,
    [TASKIQ_ACK_LIST] = ack_list,
    [TASKIQ_MOVE_STREAM] = move_stream,
    [TASKIQ_MOVE_LIST] = move_list,
    [TASKIQ_RENEW_STREAM] = renew_stream,
    [TASKIQ_RENEW_LIST] = renew_list,
    [TASKIQ_CLAIM_STREAM] = claim_stream,
    [TASKIQ_CLAIM_LIST] = claim_list,
    [TASKIQ_TAKE_LIST] = take_list,
    [TASKIQ_DEATHS] = deaths,
    [TASKIQ_DUE] = due,
    [TASKIQ_LEAVE_STREAM] = leave_stream,
    [TASKIQ_REQUEUE] = requeue,
    [TASKIQ_COUNT_STREAM] = count_stream,
    [TASKIQ_COUNT_LIST] = count_list,
    [TASKIQ_WATCH] = watch,
};
