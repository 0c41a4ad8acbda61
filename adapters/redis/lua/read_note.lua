-- read_note.lua: one note. Arguments: space, name. Answer: "expires:value", or nothing.
local stored = call('HGET', P .. 'n:' .. text(), text())
local expires = stored and string.match(stored, '^%d+')
if expires and (expires == '0' or tonumber(expires) > now) then
    return {stored}
end
return {}
