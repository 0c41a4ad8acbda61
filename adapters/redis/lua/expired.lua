-- expired.lua: records alive past their deadline; ended ones past theirs, and notes, are forgotten, some at each call.
-- Argument: how many at most. Answer: ready, when to ask again ('': no need), then keys.
local FORGET = 256
sweep()
local most = number()
local more = false
local past = call('ZRANGEBYSCORE', P .. 'de', '-inf', now, 'LIMIT', 0, FORGET)
local gone = 0
for i, key in ipairs(past) do
    if gone >= FORGET then
        break
    end
    gone = gone + remove(key, false, false)
end
more = call('ZCOUNT', P .. 'de', '-inf', now) > 0
for _, place in ipairs(call('ZRANGEBYSCORE', P .. 'nx', '-inf', now, 'LIMIT', 0, FORGET)) do
    local len = string.match(place, '^%d+')
    local space = string.sub(place, #len + 2, #len + 1 + len)
    local name = string.sub(place, #len + 2 + len)
    call('HDEL', P .. 'n:' .. space, name)
    call('ZREM', P .. 'z:' .. space, name)
    call('ZREM', P .. 'nx', place)
end
local alive = most > 0 and call('ZRANGEBYSCORE', P .. 'da', '-inf', now, 'LIMIT', 0, most) or {}
more = more or call('ZCOUNT', P .. 'da', '-inf', now) > #alive
local again = ''
if more then
    again = show(now)
else
    local first = math.huge
    for _, set in ipairs({'da', 'de'}) do
        local next = call('ZRANGEBYSCORE', P .. set, '(' .. show(now), '+inf', 'WITHSCORES', 'LIMIT', 0, 1)[2]
        first = math.min(first, tonumber(next) or math.huge)
    end
    again = first < math.huge and show(first) or ''
end
local a = {(news()), again}
for _, key in ipairs(alive) do
    a[#a + 1] = key
end
return a
