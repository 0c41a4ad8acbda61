-- judge.lua: behind common.lua, for claim.lua and take.lua: who may run what. A claim is refused by the record it is for:
-- gone, of another epoch, with the outcome known, or locked; one from elsewhere also where its unit is held, or a later
-- attempt was sent. The numbers are those of mf_status.
local OK, NOT_FOUND, EXISTS, STALE, AGAIN = '0', '-8', '-9', '-12', '-22'

-- Fields of a head, in the order they are read.
local KIND, HEAD_EPOCH, STATUS, NUMBERED, CONTAINER, NEXT, RUNNING, LOCK, LOCK_UNTIL, SERIAL, STARTED, TRIED =
    1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12

local function head_read(key, index)
    local h = call('HMGET', record(key), 'k', 'e', 's', 'nb', 'c', 'nx', 'rn', 'lk', 'lu', 'n', 'sm', 'a' .. index)
    return h[KIND] and h
end

-- Whether a later attempt was sent.
local function overtaken(h, epoch, attempt)
    if not h[TRIED] then
        return false
    end
    local its, last = string.match(h[TRIED], '^(%d+):(%d+)$')
    return its == epoch and attempt < tonumber(last)
end

local function outcome_known(key, h, index)
    if h[KIND] == CHAIN then
        return h[RUNNING] == '0' or tonumber(index) + 1 ~= tonumber(h[NEXT])
    end
    if h[KIND] == TASK and h[NUMBERED] == '0' then
        return ended(h[STATUS])
    end
    return call('HEXISTS', P .. 'o:' .. key, index) == 1
end

local function is_pending_task(h)
    return h[KIND] == TASK and h[NUMBERED] == '0' and h[STATUS] == PENDING
end

-- The first record above that does not run: its key and status.
local function blocker_of(h)
    local key = h[CONTAINER]
    for _ = 1, 32 do
        if key == '' then
            return nil
        end
        local above = call('HMGET', record(key), 's', 'c')
        if not above[1] then
            return nil
        end
        if not runs(above[1]) then
            return key, above[1]
        end
        key = above[2]
    end
end

local function unit_name(h, index, epoch)
    return h[SERIAL] .. ':' .. index .. ':' .. epoch
end

-- origin: 'elsewhere' (the same message may come twice), 'ours', 'framework' (the claim covers the message alone). attempt: from
-- elsewhere alone.
-- Gives status, head, above, blocker; then the unit that the claim is to hold, or ''; then until when it is locked.
local function look(key, index, epoch, origin, attempt)
    if key == '' then
        return OK, ACTIVE, ACTIVE, '', ''
    end
    local h = head_read(key, index)
    if not h then
        return NOT_FOUND, ACTIVE, ACTIVE, '', ''
    end
    local status = OK
    if origin ~= 'framework' then
        if epoch ~= h[HEAD_EPOCH] or outcome_known(key, h, index) then
            status = STALE
        elseif origin == 'elsewhere' and overtaken(h, epoch, attempt) then
            status = STALE
        elseif h[LOCK] ~= '0' and tonumber(h[LOCK_UNTIL]) > now and is_pending_task(h) then
            status = AGAIN
        elseif origin == 'elsewhere' and call('HEXISTS', P .. 'u', unit_name(h, index, epoch)) == 1 then
            status = EXISTS
        end
    end
    local held = origin ~= 'framework' and status == OK
    local blocker, above = blocker_of(h)
    if not blocker and held and is_pending_task(h) then
        h[STATUS] = ACTIVE
        call('HSET', record(key), 's', ACTIVE, 'ls', PENDING)
        if h[STARTED] == '0' then
            call('HSET', record(key), 'sm', show(now))
        end
    end
    if not runs(h[STATUS]) then
        blocker = key
    end
    return status, h[STATUS], above or ACTIVE, blocker or '', held and unit_name(h, index, epoch) or '', tonumber(h[LOCK_UNTIL])
end
