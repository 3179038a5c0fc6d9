-- ARGV: lease, service, counter. Answers 1, 0 (there was none) or {status, what is refused}.
local lease, answer = called_lease(ARGV[1], ARGV[2], ARGV[3])
if not lease then
  return answer
end
finish(ARGV[1], lease)
close()
return 1
