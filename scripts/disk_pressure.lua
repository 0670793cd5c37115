-- When the disk is nearly full (storage.disk_low), development loses its past first, then series
-- that ended, then what nobody has read for a month. Production keeps a month in any case.

local KEEP = { dev = "1d", staging = "7d" } -- by the label env
local KEEP_OTHERS = "30d"
local NEVER = { audit = true } -- jobs that lose nothing

local MONTH = tide.days(30)

-- 1 is dropped first; nil: never.
local function rank(one)
  if NEVER[one.labels.job] then return nil end
  if one.labels.env == "dev" then return 1 end
  if one.labels.env == "staging" then return 2 end
  if one.last and tide.ago(one.last) > MONTH then return 3 end
  if not one.last_read or tide.ago(one.last_read) > MONTH then return 4 end
  return 5
end

tide.disk_pressure("dev first", function(candidates)
  local list, ranks = {}, {}
  for _, one in ipairs(candidates) do
    ranks[one] = rank(one)
    if ranks[one] then
      one.keep = KEEP[one.labels.env] or KEEP_OTHERS
      list[#list + 1] = one
    end
  end
  table.sort(list, function(a, b)
    if ranks[a] ~= ranks[b] then return ranks[a] < ranks[b] end
    return a.bytes > b.bytes
  end)
  return list
end)
