-- commit.lua: one batch, all or nothing. First every guard, which writes nothing; then the writes, which cannot fail.
--
-- Arguments: for once; then the parts of the batch, each behind its count. Answer: 'ok', the counter of commits, ready, delayed, then the places of what ended; or 'no', guard, index.
local before = answered()
if before then
    return before
end

sweep()
local PUT, VERSION, ITEMS, OUTCOME, SETTLE, WRITE, HOLD, NOTE = '1', '2', '3', '4', '5', '6', '7', '8'

local function refuse(guard, index)
    return remember({'no', guard, show(index), (news())})
end

-- ---- what the batch says --------------------------------------------------------------------------------------------

local function read_state()
    return {bytes = text(), epoch = text(), status = text(), last = text(), next = text(), running = text(), lock = text(),
            lock_until = text(), started = text(), deadline = text()}
end

local function read_list(one)
    local list = {}
    for i = 1, number() do
        list[i] = one()
    end
    return list
end

local key = text()
local has_state = text() == '1'
local version, state
if has_state then
    version, state = text(), read_state()
end
local writes = read_list(function() return {key = text(), version = text(), state = read_state()} end)
local holds = read_list(text)
local settles = read_list(text)
local puts = read_list(function()
    return {key = text(), kind = text(), numbered = text(), container = text(), root = text(), success = text(), error = text(),
            contents = text(), spec = text(), version = text(), state = read_state()}
end)
local items_from = text()
local items = read_list(function() return {bytes = text(), keys = text()} end)
local outcomes = read_list(function() return {index = text(), bytes = text()} end)
local published = read_list(text)
local resume = text()
local removals = read_list(function() return {key = text(), success = text() == '1', error = text() == '1'} end)
local entries = read_list(function()
    local row, way = {}, text()
    if way ~= '' then        -- into a manager's queue, in its form, and into no row
        return {way = way, queue = text(), payload = text(), forget = text(), set = text(), mark = text()}
    end
    row[PRIORITY], row[DUE], row[KEY], row[INDEX], row[EPOCH] = number(), text(), text(), text(), text()
    row[FRAMEWORK], row[DEATHS], row[PARKED], row[BYTES] = text(), number(), text(), text()
    return row
end)
local retries = read_list(function() return {key = text(), index = text(), epoch = number(), attempt = number()} end)
local receipts = read_list(function()
    return {queue = text(), group = text(), id = text(), drop = text(), dead = text(), reason = text()}
end)
local notes = read_list(function()
    return {space = text(), name = text(), set = text() == '1', value = text(), expires = text(), fresh = text() == '1'}
end)

-- ---- guards ---------------------------------------------------------------------------------------------------------

local here = false           -- whether the record `key` is there
if key ~= '' then
    local v = call('HGET', record(key), 'v')
    here = v and true
    if has_state and v ~= version then
        return refuse(VERSION, 0)
    end
end
local seen = {}
for i, w in ipairs(writes) do
    if seen[w.key] or call('HGET', record(w.key), 'v') ~= w.version then
        return refuse(WRITE, i - 1)
    end
    seen[w.key] = true
end
for i, token in ipairs(holds) do
    if call('HEXISTS', P .. 'c', token) == 0 then
        return refuse(HOLD, i - 1)
    end
end
seen = {}
for i, token in ipairs(settles) do
    if seen[token] or call('HEXISTS', P .. 'c', token) == 0 then
        return refuse(SETTLE, i - 1)
    end
    seen[token] = true
end
seen = {}
for i, p in ipairs(puts) do
    if seen[p.key] or call('EXISTS', record(p.key)) == 1 then
        return refuse(PUT, i - 1)
    end
    seen[p.key] = true
    here = here or p.key == key
end
if #items > 0 and (not here or show(call('LLEN', P .. 'i:' .. key)) ~= items_from) then
    return refuse(ITEMS, 0)
end
seen = {}
for i, o in ipairs(outcomes) do
    if not here or seen[o.index] or call('HEXISTS', P .. 'o:' .. key, o.index) == 1 then
        return refuse(OUTCOME, i - 1)
    end
    seen[o.index] = true
end

local function note_expires(space, name)
    local stored = call('HGET', P .. 'n:' .. space, name)
    return stored and string.match(stored, '^%d+')
end

seen = {}
for i, n in ipairs(notes) do
    local place = #n.space .. ':' .. n.space .. n.name
    local there = seen[place]
    if there == nil then
        local expires = note_expires(n.space, n.name)
        there = expires and (expires == '0' or tonumber(expires) > now) or false
    end
    if n.fresh and there then
        return refuse(NOTE, i - 1)
    end
    seen[place] = n.set
end

-- A queue of another type would stop the script in the middle.
seen = {}
for _, e in ipairs(entries) do
    if e.way and not seen[e.queue] then
        local kind = call('TYPE', e.queue).ok
        if kind ~= 'none' and kind ~= (e.way == 's' and 'stream' or 'list') then
            return redis.error_reply('WRONGTYPE the queue ' .. e.queue .. ' is a ' .. kind)
        end
        seen[e.queue] = true
    end
end

-- ---- writes ---------------------------------------------------------------------------------------------------------

local changed = false        -- a status is another one, or a lock is gone: others may wait for that
local told = {}              -- places of the states with which a record ended; 0 is the batch's own

local function write_deadline(k, s)
    local mine, other = P .. 'da', P .. 'de'
    if ended(s.status) then
        mine, other = other, mine
    end
    call('ZREM', other, k)
    if s.deadline == '0' then
        call('ZREM', mine, k)
    else
        call('ZADD', mine, s.deadline, k)
    end
end

local function write_state(place, k, s, v)
    local was = call('HMGET', record(k), 's', 'lk')
    local before = was[1]
    changed = changed or before ~= s.status or (s.lock == '0' and was[2] and was[2] ~= '0')
    if not ended(before) and ended(s.status) then
        told[#told + 1] = show(place)
    end
    call('HSET', record(k), 'st', s.bytes, 'v', v, 'e', s.epoch, 's', s.status, 'ls', s.last, 'nx', s.next, 'rn', s.running,
         'lk', s.lock, 'lu', s.lock_until, 'sm', s.started)
    write_deadline(k, s)
end

local function plus_one(v)
    local digits = string.reverse(v)
    local out, carry = '', 1
    for i = 1, #digits do
        local d = tonumber(string.sub(digits, i, i)) + carry
        carry = d == 10 and 1 or 0
        out = (d == 10 and '0' or tostring(d)) .. out
    end
    return carry == 1 and '1' .. out or out
end

local first_before = first_deadline()
for _, p in ipairs(puts) do
    local s, n = p.state, new('serials')
    call('HSET', record(p.key), 'n', n, 'k', p.kind, 'nb', p.numbered, 'c', p.container, 'ro', p.root, 'cs', p.success,
         'ce', p.error, 'ch', p.contents, 'sp', p.spec, 'cm', show(now), 's', s.status, 'oe', '0')
    write_state(-1, p.key, s, p.version)
    call('ZADD', P .. 'k', n, p.key)
end
if has_state then
    write_state(0, key, state, plus_one(version))
end
for i, w in ipairs(writes) do
    write_state(i, w.key, w.state, plus_one(w.version))
end
for _, item in ipairs(items) do
    call('RPUSH', P .. 'i:' .. key, item.bytes)
    if item.keys ~= '' then
        call('SADD', P .. 'w:' .. key, item.keys)
    end
end
if #outcomes > 0 then
    local last = tonumber(call('HGET', record(key), 'oe'))
    for _, o in ipairs(outcomes) do
        call('HSET', P .. 'o:' .. key, o.index, o.bytes)
        last = math.max(last, tonumber(o.index) + 1)
    end
    call('HSET', record(key), 'oe', show(last))
end
for _, token in ipairs(settles) do
    local id = claim_leave(token)
    if id ~= '' then
        call('HDEL', P .. 'm', id)
    end
end
for _, id in ipairs(published) do
    local row = row_read(id)
    if row then
        local token = call('HGET', P .. 't', id)
        if token then
            claim_leave(token)
        else
            row_unplace(row)
        end
        call('HDEL', P .. 'm', id)
    end
end
if resume ~= '' then
    unpark(resume)
end
local first = first_deadline()
if first < first_before then
    sooner(first)
end
for _, r in ipairs(removals) do
    remove(r.key, r.success, r.error)
end
local function send(e)
    if e.forget ~= '' then
        call('DEL', e.forget)
    end
    if e.mark ~= '' then
        redis.pcall('ZADD', e.set, 0, e.mark)
    end
    if e.way == 's' then
        call('XADD', e.queue, '*', 'data', e.payload)
    else
        call('LPUSH', e.queue, e.payload)
    end
end

local function keep(row)
    row[ID] = new('ids')
    if row[DUE] == '0' then
        row[DUE] = show(now)
    end
    local parked = row[PARKED]
    if parked ~= '' then
        local s = call('HGET', record(parked), 's')
        if s ~= SUSPENDED and s ~= INTERRUPTED then
            row[PARKED] = ''
        end
    end
    row_write(row)
    if row[PARKED] ~= '' then
        call('ZADD', P .. 'p:' .. parked, row[ID], row[ID])
    elseif row_place(row) then
        ready = ready + 1
    else
        sooner(tonumber(row[DUE]))
    end
end

for _, e in ipairs(entries) do
    if e.way then
        send(e)
    else
        keep(e)
    end
end
-- The latest attempt of a unit, and its epoch: messages of earlier ones are stale. A call of an epoch that is over may be tried
-- again, too, and says nothing of the one that counts.
for _, r in ipairs(retries) do
    local was = call('HMGET', record(r.key), 'v', 'a' .. r.index)
    local epoch, attempt = string.match(was[2] or '0:0', '^(%d+):(%d+)$')
    epoch, attempt = tonumber(epoch), tonumber(attempt)
    if was[1] and (r.epoch > epoch or (r.epoch == epoch and r.attempt > attempt)) then
        call('HSET', record(r.key), 'a' .. r.index, show(r.epoch) .. ':' .. show(r.attempt))
    end
end

-- Kept aside as it is: once, by whoever acknowledges it. Where that cannot be, it stays unacknowledged, and is found to have
-- ended when it is handed out again.
local function bury(r)
    local pending = redis.pcall('XPENDING', r.queue, r.group, r.id, r.id, 1)
    local got = redis.pcall('XRANGE', r.queue, r.id, r.id)
    if pending.err or #pending == 0 or got.err or #got == 0 then
        return true
    end
    local fields, data = got[1][2], ''
    for i = 1, #fields, 2 do
        if fields[i] == 'data' then
            data = fields[i + 1]
        end
    end
    local kept = redis.pcall('XADD', r.dead, '*', 'data', data, 'reason', r.reason, 'queue', r.queue)
    return type(kept) == 'string'
end

-- What ran is acknowledged together with its outcome. A group that is gone has nothing to acknowledge.
local acks = {}
for _, r in ipairs(receipts) do
    local place = #r.queue .. ':' .. r.queue .. r.group
    if r.dead == '' or bury(r) then
        acks[place] = acks[place] or {queue = r.queue, group = r.group, drop = r.drop == '1'}
        table.insert(acks[place], r.id)
    end
end
for _, a in pairs(acks) do
    for i = 1, #a, 1000 do
        local last = math.min(i + 999, #a)
        redis.pcall('XACK', a.queue, a.group, unpack(a, i, last))
        if a.drop then
            redis.pcall('XDEL', a.queue, unpack(a, i, last))
        end
    end
end
for _, n in ipairs(notes) do
    local place = #n.space .. ':' .. n.space .. n.name
    call('ZREM', P .. 'nx', place)
    if n.set then
        call('HSET', P .. 'n:' .. n.space, n.name, n.expires .. ':' .. n.value)
        call('ZADD', P .. 'z:' .. n.space, 0, n.name)
        if n.expires ~= '0' then
            call('ZADD', P .. 'nx', n.expires, place)
        end
    else
        call('HDEL', P .. 'n:' .. n.space, n.name)
        call('ZREM', P .. 'z:' .. n.space, n.name)
    end
end
local r, d = news()
if changed or ready > 0 or delayed or #removals > 0 or #notes > 0 then
    call('XADD', P .. 'wake', 'MAXLEN', 1, '*', 'x', '')
end
local a = {'ok', show(call('INCR', P .. 'x')), r, d}
for _, place in ipairs(told) do
    a[#a + 1] = place
end
return remember(a)
