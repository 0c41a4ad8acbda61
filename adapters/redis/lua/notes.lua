-- notes.lua: notes of a space by name. Arguments: the space, the name after which to begin, how many at most. Answer: name,
-- expiry and value of each, one text for the last two: "expires:value".
local space, after, most = text(), text(), number()
local from = after == '' and '-' or '(' .. after
local a = {}
while #a < 2 * most do
    local names = call('ZRANGEBYLEX', P .. 'z:' .. space, from, '+', 'LIMIT', 0, 200)
    for _, name in ipairs(names) do
        local stored = call('HGET', P .. 'n:' .. space, name)
        local expires = stored and string.match(stored, '^%d+')
        if #a < 2 * most and expires and (expires == '0' or tonumber(expires) > now) then
            a[#a + 1] = name
            a[#a + 1] = stored
        end
    end
    if #names < 200 then
        break
    end
    from = '(' .. names[#names]
end
return a
