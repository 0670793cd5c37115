-- Renames a label of all that is stored: new samples come under the new name at once, and a job
-- moves the old ones behind them, one value of the label after the other.
--
-- The job keeps nothing in mind that a crash could take. It compares what is stored under both
-- names, imports what is missing, looks once more, and deletes the old only when the new has every
-- sample of it. So it goes on after a restart, and has nothing to do when all is done.

local OLD, NEW = "host", "instance"
local AT_ONCE = 40000 -- samples that one run reads
local WINDOW = 6 * 3600 -- seconds that one query reads, at most
local WINDOWS = 200 -- queries of one run, at most

-- Series that have both labels are left as they are.
local BOTH = "{" .. OLD .. '!="",' .. NEW .. '=""}'

tide.admit("rename the label", { match = BOTH, decide = function(series)
  series.labels[NEW], series.labels[OLD] = series.labels[OLD], nil
end })

local function renamed(labels)
  local copy = {}
  for name, value in pairs(labels) do copy[name] = value end
  copy[NEW], copy[OLD] = labels[OLD], nil
  return copy
end

local empty = {} -- values whose series have no samples left, and are not cleared away yet

-- The walk through all that one value has; nil: there is nothing.
local function walk_of(value)
  local selector = tide.selector { [OLD] = value, [NEW] = "" }
  local list, count = tide.series(selector, { limit = 10000 })
  if count > #list then error(value .. " has more than 10000 series") end
  local first, last
  for _, series in ipairs(list) do
    if series.first then
      first = math.min(first or series.first, series.first)
      last = math.max(last or 0, series.last)
    end
  end
  return first and { value = value, selector = selector, first = first, last = last,
    at = first - 1, target = tide.selector { [NEW] = value, [OLD] = "" }, missing = 0 }
end

local function begin()
  for _, value in ipairs(tide.store.label_values(OLD, BOTH)) do
    local walk = not empty[value] and walk_of(value)
    if walk then return walk end
  end
  empty = {}
end

local function window(selector, width, at)
  return tide.query(("%s[%ds]"):format(selector, width), { time = at + width })
end

local function count(selector, width, at)
  local sums = tide.query(("sum(count_over_time(%s[%ds]))"):format(selector, width),
    { time = at + width })
  return sums[1] and sums[1].value or 0
end

-- Whether all of `wanted` are in `times`; both ascend.
local function has_all(times, wanted)
  local i = 1
  for k = 1, #wanted do
    while times[i] and times[i] < wanted[k] do i = i + 1 end
    if times[i] ~= wanted[k] then return false end
  end
  return true
end

-- Imports what the new series do not have of a window.
local function move(walk, width)
  local there = {}
  for _, series in ipairs(window(walk.target, width, walk.at)) do
    there[tide.selector(series.labels)] = series.times
  end
  for _, series in ipairs(window(walk.selector, width, walk.at)) do
    local labels = renamed(series.labels)
    local times = there[tide.selector(labels)]
    if not (times and has_all(times, series.times)) then
      tide.import(labels.__name__, labels, series.times, series.values)
      walk.missing = walk.missing + #series.times
    end
  end
end

-- Goes on by windows of at most `room` samples.
local function advance(walk, room)
  for _ = 1, WINDOWS do
    if walk.at >= walk.last then return end
    local width = WINDOW
    local samples = count(walk.selector, width, walk.at)
    while samples > AT_ONCE and width > 1 do
      width = math.floor(width / 2)
      samples = count(walk.selector, width, walk.at)
    end
    if samples > AT_ONCE then error(samples .. " samples in a second") end
    if samples > room then return end
    if samples > 0 then move(walk, width) end
    walk.at, room = walk.at + width, room - samples
  end
end

local function remove(walk)
  local plan = tide.delete(walk.selector, { from = walk.first, to = walk.last })
  if plan.samples == 0 then
    empty[walk.value] = true
    return
  end
  local gone = tide.delete(walk.selector, { from = plan.from, to = plan.to, id = plan.id })
  tide.log.info(("%s=%s is %s now: %d series, %d samples (trash %s)"):format(OLD, walk.value, NEW,
    gone.series, gone.samples, gone.trash))
end

local walk -- what is under way; begun anew after a reload or a restart

tide.every("1s", "move stored series", function()
  walk = walk or begin()
  if not walk then return end
  advance(walk, AT_ONCE)
  if walk.at < walk.last then return end
  if walk.missing == 0 then remove(walk) end
  walk = nil
end)
