-- lines.lua: lines of a record's log. Arguments: key, number of the first, how many at most. Answer: 'ok', the number of the first
-- that comes, and the lines; or 'gone'.
local key, from, most = text(), number(), number()
if call('EXISTS', record(key)) == 0 then
    return {'gone'}
end
local list = P .. 'g:' .. key
local kept = call('LLEN', list)
local gone = tonumber(call('HGET', record(key), 'ln') or kept) - kept
local a = {'ok', show(math.max(from, gone))}
local first = math.max(from, gone) - gone
if most > 0 and first < kept then
    for _, line in ipairs(call('LRANGE', list, show(first), show(first + most - 1))) do
        a[#a + 1] = line
    end
end
return a
