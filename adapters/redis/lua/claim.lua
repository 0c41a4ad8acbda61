-- claim.lua: claims for messages that came from elsewhere. Arguments: for once; a count, then key, index, epoch and attempt of each.
-- Answer: ready, then token ('0': refused), status, head, above and blocker of each.
local before = answered()
if before then
    return before
end
sweep()
local a = {(news())}
for _ = 1, number() do
    local key, index, epoch, attempt = text(), text(), text(), number()
    local status, head, above, blocker, unit = look(key, index, epoch, 'elsewhere', attempt)
    a[#a + 1] = status == OK and claim_begin('', unit) or '0'
    a[#a + 1] = status
    a[#a + 1] = head
    a[#a + 1] = above
    a[#a + 1] = blocker
end
return remember(a)
