-- tell.lua: what a signature tells of itself. Arguments: for once; key; 'log' and a line, how many are kept; or 'progress' and a value.
-- Answer: 'ok' or 'gone'.
local before = answered()
if before then
    return before
end
local key, what, value = text(), text(), text()
if call('EXISTS', record(key)) == 0 then
    return {'gone'}
end
if what == 'log' then
    local kept = call('RPUSH', P .. 'g:' .. key, value)
    if call('HINCRBY', record(key), 'ln', 1) < kept then
        call('HSET', record(key), 'ln', kept)    -- begun by a version that did not count
    end
    call('LTRIM', P .. 'g:' .. key, -number(), -1)
else
    call('HSET', record(key), 'pr', value)
end
return remember({'ok'})
