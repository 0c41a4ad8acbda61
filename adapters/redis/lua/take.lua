-- take.lua: messages that are due, with their claims. Arguments: for once; how many at most. Answer: when the next one is due or
-- a lease ends, then of each: token, status, head, above, blocker; id, due, deaths, bytes.
--
-- What is remembered of an answer are the first six of each: the rest is still there as long as the claim is.
local function whole(short)
    local a = {short[1]}
    for i = 2, #short, 6 do
        local row = row_read(short[i + 5])
        if row then
            for k = i, i + 5 do
                a[#a + 1] = short[k]
            end
            a[#a + 1] = row[DUE]
            a[#a + 1] = show(row[DEATHS])
            a[#a + 1] = row[BYTES]
        end
    end
    return a
end

local before = answered()
if before then
    return whole(before)
end
sweep()
promote()
local most = number()
local short, n = {''}, 0
while n < most do
    local popped = call('ZPOPMIN', P .. 'q', math.min(most - n, 500))
    if #popped == 0 then
        break
    end
    for i = 1, #popped, 2 do
        local row = row_read(id_of(popped[i]))
        local status, head, above, blocker, unit, lock_until =
            look(row[KEY], row[INDEX], row[EPOCH], row[FRAMEWORK] == '1' and 'framework' or 'ours')
        if status == AGAIN then              -- looked at again soon, or when the lock is over
            row[DUE] = show(math.min(lock_until, now + 100))
            row_write(row)
            row_place(row)
        else
            n = n + 1
            for _, v in ipairs({claim_begin(row[ID], unit), status, head, above, blocker, row[ID]}) do
                short[#short + 1] = v
            end
        end
    end
end
local due, lease_ends = next_due(), call('ZRANGE', P .. 'l', 0, 0, 'WITHSCORES')[2]
if lease_ends and (due == '' or tonumber(lease_ends) < tonumber(due)) then
    due = show(tonumber(lease_ends))
end
short[1] = due
return whole(n > 0 and remember(short) or short)
