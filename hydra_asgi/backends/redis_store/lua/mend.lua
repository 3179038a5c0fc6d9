-- Somebody put something else where our keys are. It is moved aside, and the directory starts from nothing; where only
-- the settings are lost it goes on without them.
-- ARGV: an epoch, then what each key should hold. Answers the names of the keys that were moved, and what they held.
local put_aside, others = {}, false
for index, key in ipairs(KEYS) do
  local kind = redis.call('TYPE', key).ok
  if kind ~= 'none' and kind ~= ARGV[index + 1] then
    redis.call('RENAME', key, key .. ':unreadable')
    put_aside[#put_aside + 1] = key
    put_aside[#put_aside + 1] = kind
    others = others or key ~= SETTINGS
  end
end
if others then
  begin(ARGV[1])
elseif #put_aside > 0 and open() then
  server_time()
  bump('settings')
  told = revision
end
close()
return put_aside
