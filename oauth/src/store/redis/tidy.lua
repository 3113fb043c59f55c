-- Takes what has ended out of a partition's sets, which end with the last of their members.
local function tidy(ids, ends, now, margin)
  local ended = redis.call('ZRANGEBYSCORE', ends, '-inf', now, 'LIMIT', 0, 32)
  if #ended > 0 then
    redis.call('ZREM', ids, unpack(ended))
    redis.call('ZREM', ends, unpack(ended))
  end
  local last = redis.call('ZRANGE', ends, -1, -1, 'WITHSCORES')
  if #last == 0 then return end
  local lifetime = tonumber(last[2]) - now + margin
  for _, set in ipairs({ ids, ends }) do
    if lifetime > 1e10 then
      redis.call('PERSIST', set)
    else
      redis.call('EXPIRE', set, string.format('%.0f', lifetime))
    end
  end
end

