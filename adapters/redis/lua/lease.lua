-- lease.lua: begin leases anew ('renew') or end claims without a settlement ('back'). Arguments: which, a count, tokens.
-- Answer: ready; for renew also each token, '0' where it is not current any more.
sweep()
local renew = text() == 'renew'
local a = {''}
for _ = 1, number() do
    local token = text()
    if not renew then
        claim_return(token, 0)
    elseif call('HEXISTS', P .. 'c', token) == 0 then
        a[#a + 1] = '0'
    else
        if lease > 0 then
            call('ZADD', P .. 'l', now + lease, token)
        end
        a[#a + 1] = token
    end
end
a[1] = (news())
return a
