-- outcomes.lua: outcomes of a record in order. Arguments: key, index of the first, how many at most. Answer: 'ok' and the bytes
-- of each ('': not ended), or 'gone'.
local key, from, most = text(), number(), number()
local last = call('HGET', record(key), 'oe')
if not last then
    return {'gone'}
end
local a = {'ok'}
local to = math.min(tonumber(last), from + most)
while from < to do
    local fields = {}
    for i = from, math.min(to, from + 1000) - 1 do
        fields[#fields + 1] = show(i)
    end
    for _, bytes in ipairs(call('HMGET', P .. 'o:' .. key, unpack(fields))) do
        a[#a + 1] = bytes or ''
    end
    from = from + #fields
end
return a
