-- Instances and their leases, one JSON record each. A field that is not known here is kept as it is, and a record that
-- cannot be read counts as absent: its service announces it again with the next beat.

local function decode(text)
  if not text then
    return nil
  end
  local fine, value = pcall(cjson.decode, text)
  if fine and type(value) == 'table' then
    return value
  end
  return nil
end

local function lease_of(id)
  local lease = decode(redis.call('HGET', LEASES, id))
  if lease and type(lease.service) == 'string' and type(lease.token) == 'string' and type(lease.caller) == 'string' then
    return lease
  end
  return nil
end

local function keep_lease(id, lease)
  redis.call('HSET', LEASES, id, cjson.encode(lease))
end

local function caller_entry(id, lease)
  return lease.service .. '\0' .. lease.caller .. '\0' .. id
end

local function listing_of(token)
  local listing = decode(redis.call('HGET', INSTANCES, token))
  if not listing or type(listing.key) ~= 'string' or type(listing.leases) ~= 'table' or #listing.leases == 0 then
    return nil
  end
  for _, id in ipairs(listing.leases) do
    if type(id) ~= 'string' then
      return nil
    end
  end
  for _, name in ipairs({ 'order', 'told' }) do
    if type(listing[name]) ~= 'number' then
      return nil
    end
  end
  return listing
end

local function keep(token, listing)
  redis.call('HSET', INSTANCES, token, cjson.encode(listing))
end

-- Counters are compared as decimal digits: they may be longer than a number here is exact.
local function is_higher(one, other)
  if #one ~= #other then
    return #one > #other
  end
  return one > other
end

local function was_used(lease, counter)
  return counter ~= '0' and type(lease.counter) == 'string' and not is_higher(counter, lease.counter)
end

local function is_active(id)
  local beat = tonumber(redis.call('ZSCORE', BEATS, id))
  return beat and now - beat <= INACTIVE
end

-- Until when it stays listed without beats.
local function kept_until(listing)
  return math.max(tonumber(listing.vouched) or 0, tonumber(listing.held) or 0)
end

-- Bring an instance's state up to date and keep it. `news` says that its content has changed.
local function settle(token, listing, news)
  local active, drained = false, false
  for _, id in ipairs(listing.leases) do
    active = active or is_active(id) or false
    local lease = lease_of(id)
    drained = drained or (lease ~= nil and lease.draining == true)
  end
  if active and not listing.active then
    redis.call('ZREM', QUIET, token)
    if listing.held then
      listing.held = nil
      held = math.max(0, held - 1)
      changed = true
    end
  elseif listing.active and not active then
    redis.call('ZADD', QUIET, now, token)
  end
  if news or listing.active ~= active or listing.drained ~= drained then
    listing.active, listing.drained = active, drained
    bump(token)
    redis.call('ZADD', CHANGED, revision, token)
    if news then
      listing.told = revision
    end
  end
  keep(token, listing)
end

-- Take a lease out of everything but its instance's own list.
local function forget_lease(id, lease)
  redis.call('HDEL', LEASES, id)
  redis.call('ZREM', BEATS, id)
  redis.call('ZREM', SILENT, id)
  if lease then
    redis.call('ZREM', CALLERS, caller_entry(id, lease))
  end
end

local function drop(id, lease, listing)
  forget_lease(id, lease)
  for index, name in ipairs(listing.leases) do
    if name == id then
      table.remove(listing.leases, index)
      return
    end
  end
end

local function remove(token, listing)
  for _, id in ipairs(listing.leases) do
    forget_lease(id, lease_of(id))
  end
  if listing.held then
    held = math.max(0, held - 1)
  end
  redis.call('HDEL', INSTANCES, token)
  redis.call('HDEL', DOCUMENTS, token)
  redis.call('HDEL', TOKENS, listing.key)
  redis.call('ZREM', QUIET, token)
  redis.call('ZREM', CHANGED, token)
  count = math.max(0, count - 1)
  bump(token)
  redis.call('ZADD', GONE, revision, token)
  redis.call('ZREMRANGEBYSCORE', GONE, '-inf', revision - KEPT)
end

local function finish(id, lease)
  local listing = listing_of(lease.token)
  if not listing then
    forget_lease(id, lease)
    return
  end
  drop(id, lease, listing)
  if #listing.leases > 0 then
    settle(lease.token, listing)
  else
    remove(lease.token, listing)
  end
end

-- A beat. What had been silent is active from now on, and lapsed leases beside it are looked at with the next sweep.
local function revive(id)
  redis.call('ZREM', SILENT, id)
  redis.call('ZADD', BEATS, now, id)
end

local function look_again(listing)
  for _, id in ipairs(listing.leases) do
    local look = tonumber(redis.call('ZSCORE', SILENT, id))
    if look and look > now + FORGOTTEN - INACTIVE then
      redis.call('ZADD', SILENT, now, id)
    end
  end
end

-- The lease that a call names, at the moment of the call; without one, what is to be answered.
local function called_lease(id, service, counter)
  local lease = open() and lease_of(id) or nil
  if not lease or lease.service ~= service then
    return nil, 0
  end
  if was_used(lease, counter) then
    return nil, { 401, 'counter' }
  end
  local refused = must_watch()
  return not refused and lease or nil, refused
end

-- The instance that a call names, in the same way.
local function called_listing(token)
  local listing = open() and listing_of(token) or nil
  if not listing then
    return nil, 0
  end
  local refused = must_watch()
  return not refused and listing or nil, refused
end
