-- ARGV: service, caller. Answers id, signed, active, counter of each lease, one after the other.
local answer = {}
if not open() then
  return answer
end
watch(false)
local prefix = ARGV[1] .. '\0' .. ARGV[2]
for _, entry in ipairs(redis.call('ZRANGE', CALLERS, '[' .. prefix .. '\0', '(' .. prefix .. '\1', 'BYLEX')) do
  local id = string.sub(entry, #prefix + 2)
  local lease = lease_of(id)
  if lease then
    answer[#answer + 1] = id
    answer[#answer + 1] = lease.signed == true and 1 or 0
    answer[#answer + 1] = is_active(id) and 1 or 0
    answer[#answer + 1] = type(lease.counter) == 'string' and lease.counter or '0'
  end
end
return answer
