-- outbox.lua: messages that are due, for a manager with a queue of its own. A row handed out is put off rather than gone: should
-- its publisher fail, it comes again. Argument: how many at most. Answer: when the next one is due, then id, due, deaths and
-- bytes of each.
promote()
local a = {''}
local popped = call('ZPOPMIN', P .. 'q', number())
for i = 1, #popped, 2 do
    local row = row_read(id_of(popped[i]))
    for _, v in ipairs({row[ID], row[DUE], show(row[DEATHS]), row[BYTES]}) do
        a[#a + 1] = v
    end
    row[DUE] = show(now + 3000)
    row_write(row)
    row_place(row)
end
a[1] = next_due()
return a
