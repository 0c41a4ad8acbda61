-- common.lua: what every script of the store begins with; README.md tells what stands under which key.
--
-- Arguments come one after the other: the time (empty: the server's), how long a lease is, then what the script reads with
-- text() and number(). Numbers beyond 2^53 stay texts. Every answer is an array; the numbers in it are texts.
local P = 'mageflow:'
local call = redis.call
local at = 0

local function text()
    at = at + 1
    return ARGV[at]
end

local function number()
    return tonumber(text())
end

local function show(n)
    return string.format('%.0f', n)
end

local now = text()
if now == '' then
    local t = call('TIME')
    now = t[1] * 1000 + math.floor(t[2] / 1000)
else
    now = tonumber(now)
end
local lease = number()

-- From 'ids' (of messages), 'tokens' (of claims), 'serials' (of records): none is ever used again.
local function new(what)
    return show(call('INCR', P .. what))
end

-- ---- once ----------------------------------------------------------------------------------------------------------
-- A caller that lost its connection sends the same again, and it must not be done twice. Each has a name, and a slot for every
-- call that it has under way at the same time; the slot remembers which call it answered last, and how.
local caller, slot, serial

-- The answer that this call was given before; nil: it is new.
local function answered()
    caller, slot, serial = P .. 'b:' .. text(), text(), text()
    local packed = call('HGET', caller, slot)
    if packed then
        local last, answer = unpack(cmsgpack.unpack(packed))
        return last == serial and answer or nil
    end
end

local function remember(answer)
    call('HSET', caller, slot, cmsgpack.pack({serial, answer}))
    call('PEXPIRE', caller, 3600000)
    return answer
end

local PENDING, ACTIVE, SUSPENDED, INTERRUPTED = '0', '1', '4', '5'
local TASK, CHAIN = '1', '2'

local function ended(status)
    return status == '2' or status == '3' or status == '6'
end

local function runs(status)
    return status == PENDING or status == ACTIVE
end

-- ---- messages that wait --------------------------------------------------------------------------------------------
-- A row: its place in line (priority, due, id), on whose behalf, and its bytes. As a table:
local PRIORITY, DUE, ID, KEY, INDEX, EPOCH, FRAMEWORK, DEATHS, PARKED, BYTES = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10

local ready = 0              -- messages that are due and were not, for who watches
local delayed = nil          -- the first time that one will be

local function sooner(ms)
    if delayed == nil or ms < delayed then
        delayed = ms
    end
end

local function row_read(id)
    local packed = call('HGET', P .. 'm', id)
    return packed and cmsgpack.unpack(packed)
end

local function row_write(row)
    call('HSET', P .. 'm', row[ID], cmsgpack.pack(row))
end

-- Sorts by priority, the greater first, then due time, then id.
local function place_of(row)
    return string.format('%010.0f%019.0f%016.0f', 2147483647 - row[PRIORITY], tonumber(row[DUE]), tonumber(row[ID]))
end

local function id_of(place)
    return show(tonumber(string.sub(place, 30)))
end

local function row_place(row)
    local due = tonumber(row[DUE])
    if due <= now then
        call('ZADD', P .. 'q', 0, place_of(row))
    else
        call('ZADD', P .. 'd', due, place_of(row))
    end
    return due <= now
end

local function row_unplace(row)
    if row[PARKED] ~= '' then
        call('ZREM', P .. 'p:' .. row[PARKED], row[ID])
    elseif call('ZREM', P .. 'q', place_of(row)) == 0 then
        call('ZREM', P .. 'd', place_of(row))
    end
end

local function unpark(key)
    local ids = call('ZRANGE', P .. 'p:' .. key, 0, -1)
    for _, id in ipairs(ids) do
        local row = row_read(id)
        row[PARKED] = ''
        row[DUE] = show(now)
        row_write(row)
        row_place(row)
        ready = ready + 1
    end
    call('DEL', P .. 'p:' .. key)
end

-- What is due by now joins the line.
local function promote()
    while true do
        local places = call('ZRANGEBYSCORE', P .. 'd', '-inf', now, 'LIMIT', 0, 500)
        for _, place in ipairs(places) do
            call('ZREM', P .. 'd', place)
            call('ZADD', P .. 'q', 0, place)
        end
        if #places < 500 then
            return
        end
    end
end

-- When the next row is due, as a text; '' for never.
local function next_due()
    local first = call('ZRANGE', P .. 'q', 0, 0)[1]
    if first then
        return row_read(id_of(first))[DUE]
    end
    first = call('ZRANGE', P .. 'd', 0, 0)[1]
    return first and row_read(id_of(first))[DUE] or ''
end

-- ---- claims --------------------------------------------------------------------------------------------------------
-- Under its token: the message's id, or '', and the unit that it holds, or ''.

local function claim_begin(id, unit)
    local token = new('tokens')
    call('HSET', P .. 'c', token, cmsgpack.pack({id, unit}))
    if lease > 0 then
        call('ZADD', P .. 'l', now + lease, token)
    end
    if id ~= '' then
        call('HSET', P .. 't', id, token)
    end
    if unit ~= '' then
        call('HINCRBY', P .. 'u', unit, 1)
    end
    return token
end

-- The claim is over; gives its message's id, or ''. nil: there was no such claim.
local function claim_leave(token)
    local packed = call('HGET', P .. 'c', token)
    if not packed then
        return nil
    end
    local id, unit = unpack(cmsgpack.unpack(packed))
    call('HDEL', P .. 'c', token)
    call('ZREM', P .. 'l', token)
    if id ~= '' then
        call('HDEL', P .. 't', id)
    end
    if unit ~= '' and call('HINCRBY', P .. 'u', unit, -1) <= 0 then
        call('HDEL', P .. 'u', unit)
    end
    return id
end

-- Its message is due again.
local function claim_return(token, deaths)
    local id = claim_leave(token)
    if id == nil or id == '' then
        return
    end
    local row = row_read(id)
    if deaths > 0 then
        row[DEATHS] = row[DEATHS] + deaths
        row_write(row)
    end
    row_place(row)
    ready = ready + 1
end

local function sweep()
    while true do
        local tokens = call('ZRANGEBYSCORE', P .. 'l', '-inf', now, 'LIMIT', 0, 500)
        for _, token in ipairs(tokens) do
            claim_return(token, 1)
        end
        if #tokens < 500 then
            return
        end
    end
end

-- ---- records -------------------------------------------------------------------------------------------------------

local function record(key)
    return P .. 'r:' .. key
end

-- A record goes with everything that stands in it. Keys join a list that is walked to its end: a circle of them ends where
-- one is not found any more. Gives how many went.
local function remove(key, on_success, on_error)
    local keys, done, gone = {key}, 0, 0
    local function add(list)
        for k in string.gmatch(list, '%S+') do
            keys[#keys + 1] = k
        end
    end
    while done < #keys do
        done = done + 1
        local k = keys[done]
        local r = call('HMGET', record(k), 'k', 'cs', 'ce', 'ch')
        if r[1] then
            if done > 1 or on_success then add(r[2]) end
            if done > 1 or on_error then add(r[3]) end
            add(r[4])
            for _, list in ipairs(call('SMEMBERS', P .. 'w:' .. k)) do
                add(list)
            end
            unpark(k)
            -- UNLINK: a swarm of a million items is freed beside the server's thread.
            call('UNLINK', record(k), P .. 'i:' .. k, P .. 'w:' .. k, P .. 'o:' .. k, P .. 'g:' .. k)
            call('ZREM', P .. 'k', k)
            call('ZREM', P .. 'da', k)
            call('ZREM', P .. 'de', k)
            gone = gone + 1
        end
    end
    return gone
end

local function first_deadline()
    local alive = call('ZRANGE', P .. 'da', 0, 0, 'WITHSCORES')[2]
    local past = call('ZRANGE', P .. 'de', 0, 0, 'WITHSCORES')[2]
    return math.min(tonumber(alive) or math.huge, tonumber(past) or math.huge)
end

-- What watchers are to be told: how many messages are ready, when the next will be ('': unknown).
local function news()
    return show(ready), delayed and show(delayed) or ''
end
