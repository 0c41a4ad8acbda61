-- list.lua: keys of records, the newest first. Arguments: a prefix of keys, bits of statuses (0: any), '1' for roots alone, the
-- key after which to begin, how many at most. Answer: 'ok' and keys, or 'gone'.
local prefix, statuses, roots, after, most = text(), number(), text() == '1', text(), number()
local from = '+inf'
if after ~= '' then
    local score = call('ZSCORE', P .. 'k', after)
    if not score then
        return {'gone'}
    end
    from = '(' .. score
end
local a = {'ok'}
while #a <= most do
    local page = call('ZREVRANGEBYSCORE', P .. 'k', from, '-inf', 'WITHSCORES', 'LIMIT', 0, 200)
    for i = 1, #page, 2 do
        local key = page[i]
        if #a <= most and string.sub(key, 1, #prefix) == prefix then
            local r = call('HMGET', record(key), 's', 'ro')
            if (statuses == 0 or bit.band(statuses, bit.lshift(1, tonumber(r[1]))) ~= 0) and (not roots or r[2] == '1') then
                a[#a + 1] = key
            end
        end
    end
    if #page < 400 then
        break
    end
    from = '(' .. page[#page]
end
return a
