-- Let lapse what has been silent too long. Costs two look-ups while there is nothing of the kind.

-- Whether anything of the directory is missing: evicted, or deleted by hand. Fields that somebody added do no harm.
local function is_whole()
  if count == 0 then
    return true
  end
  return redis.call('HLEN', INSTANCES) >= count and redis.call('HLEN', DOCUMENTS) >= count
    and redis.call('HLEN', TOKENS) >= count and redis.call('EXISTS', LEASES, CALLERS, CHANGED, HISTORY) == 4
    and redis.call('EXISTS', BEATS, SILENT) > 0
end

local function late_leases(limit)
  return redis.call('ZRANGE', BEATS, '-inf', '(' .. (now - INACTIVE), 'BYSCORE', 'LIMIT', 0, limit, 'WITHSCORES')
end

local function due_leases(limit)
  return redis.call('ZRANGE', SILENT, '-inf', now, 'BYSCORE', 'LIMIT', 0, limit)
end

-- What a sweep does with one instance.
local function judge(token, listing)
  local lapsed, active = {}, false
  for _, id in ipairs(listing.leases) do
    local look = tonumber(redis.call('ZSCORE', SILENT, id))
    if look and look <= now then
      lapsed[#lapsed + 1] = id
    end
    active = active or is_active(id) or false
  end
  local all = #lapsed == #listing.leases
  return {
    token = token, listing = listing, lapsed = lapsed, all = all,
    goes = (listing.active and not active) or (all and not listing.held and now >= kept_until(listing)),
  }
end

local function hold(listing)
  if not listing.held then
    listing.held = now + HELD
    held = held + 1
    changed = true
  end
end

-- When most instances go silent at once, the fault is taken to be on our side: they stay listed for a while. Answers how
-- many, when this begins. `rest` are leases that this sweep had no room for.
local function hold_back(verdicts, rest)
  local going, size, new = {}, rest, false
  for token, verdict in pairs(verdicts) do
    if verdict.goes then
      going[token], size, new = true, size + 1, true
    end
  end
  if count < MASS or not new then
    return 0
  end
  local recent = redis.call('ZRANGE', QUIET, '(' .. (now - BEAT), '+inf', 'BYSCORE')
  for _, token in ipairs(recent) do
    if not going[token] then
      size = size + 1
    end
  end
  local backlog = whole(redis.call('HGET', META, 'backlog'))
  if 2 * size <= count and not (backlog and now - backlog < HELD) then
    return 0
  end
  local first = held == 0
  if first then
    bump('held') -- not all of those who are held change otherwise
  end
  for _, verdict in pairs(verdicts) do
    if verdict.goes then
      hold(verdict.listing)
    end
  end
  for _, token in ipairs(recent) do
    local verdict = verdicts[token]
    if verdict then
      hold(verdict.listing)
    else
      local listing = listing_of(token)
      if listing and not listing.held then
        hold(listing)
        keep(token, listing)
      end
    end
  end
  if rest > 0 then
    redis.call('HSET', META, 'backlog', now)
  elseif backlog then
    redis.call('HDEL', META, 'backlog')
  end
  return first and size or 0
end

local function execute(verdict)
  local token, listing = verdict.token, verdict.listing
  local forgotten = verdict.all and now >= kept_until(listing)
  if forgotten then
    remove(token, listing)
    return
  end
  if verdict.all then
    for _, id in ipairs(verdict.lapsed) do
      redis.call('ZADD', SILENT, kept_until(listing), id)
    end
  else
    for _, id in ipairs(verdict.lapsed) do
      drop(id, lease_of(id), listing)
    end
  end
  settle(token, listing)
end

local function note(verdicts, id)
  local lease = lease_of(id)
  local listing = lease and listing_of(lease.token)
  if not listing then
    forget_lease(id, lease)
  elseif not verdicts[lease.token] then
    verdicts[lease.token] = listing
  end
end

-- Answers what is to be added to the revision: nothing, or ` 9 10` when nine of ten instances went silent together.
local function sweep()
  if trouble or (#late_leases(1) == 0 and #due_leases(1) == 0) then
    return ''
  end
  -- If time cannot be noted nothing may lapse either: the next sweep would be at an earlier moment.
  watch(true)
  if trouble then
    return ''
  end
  local late, touched = late_leases(BATCH), {}
  local rest = 0
  if #late == 2 * BATCH then
    rest = redis.call('ZCOUNT', BEATS, '-inf', '(' .. (now - INACTIVE)) - BATCH
  end
  for index = 1, #late, 2 do
    redis.call('ZREM', BEATS, late[index])
    redis.call('ZADD', SILENT, late[index + 1] + FORGOTTEN, late[index])
    note(touched, late[index])
  end
  for _, id in ipairs(due_leases(BATCH)) do
    note(touched, id)
  end
  local verdicts = {}
  for token, listing in pairs(touched) do
    verdicts[token] = judge(token, listing)
  end
  local total, going = count, hold_back(verdicts, rest)
  for _, verdict in pairs(verdicts) do
    execute(verdict)
  end
  return going > 0 and (' ' .. going .. ' ' .. total) or ''
end

-- The directory as it is now. What it answers is added to the revision; nil: it cannot be had, and `trouble` says why.
local function look(candidate)
  if not open() or not is_whole() then
    begin(candidate)
  end
  watch(false)
  if trouble and string.sub(trouble, 1, 8) == 'READONLY' then
    return nil
  end
  return sweep()
end
