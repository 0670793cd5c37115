-- Rules on old data: downsample, disk_pressure.
--
-- Extends `tide` (see tide.lua, which calls this). The work is done by the store's maintenance;
-- core/script/downsample_rules.c and pressure_rules.c put its questions to these rules.

local format = string.format

local MIN_EVERY_MS = 1000

local METHODS = { last = true, counter = true, avg = true, min = true, max = true, sum = true,
  count = true }

local DOWNSAMPLE = { match = true, after = true, every = true, using = true }

return function(tide, kit)
  local register, options_of = kit.register, kit.options_of

  local function duration(name, value, example)
    local ms = kit.milliseconds(value)
    if not ms or ms == math.huge or ms < MIN_EVERY_MS then
      error(format('tide.downsample: %s: not a duration of at least 1s (try "%s")', name, example),
        3)
    end
    return ms
  end

  -- One function for C, which says what it is called for.
  local function decider(match, using)
    return function(what, ...)
      if what == "match" then return match(...) end
      return using(...)
    end
  end

  --- Old samples become one for each window of time. First answer wins; see docs/lua-api.md.
  function tide.downsample(title, what)
    if type(what) ~= "table" then
      error("tide.downsample: the second argument is { after = ..., every = ..., using = ... }", 2)
    end
    local asks = type(what.match) == "function" and what.match or nil
    local given = {}
    for name, value in next, what do given[name] = value end
    if asks then given.match = nil end
    local rule = options_of("downsample", given, DOWNSAMPLE)
    rule = { match = rule.match, using = rule.using, asks_match = asks ~= nil,
      after_ms = duration("after", rule.after, "30d"),
      every_ms = duration("every", rule.every, "5m") }
    if rule.every_ms > rule.after_ms then
      error("tide.downsample: every is longer than after", 2)
    end
    local makes = type(rule.using) == "function" and rule.using or nil
    if not makes and not METHODS[rule.using] then
      local list = {}
      for name in pairs(METHODS) do list[#list + 1] = name end
      table.sort(list)
      error(format("tide.downsample: using: one of %s, or a function",
        table.concat(list, ", ")), 2)
    end
    rule.text, rule.using = makes and "function" or rule.using, nil
    if asks or makes then rule.decide = decider(asks, makes) end
    register("downsample", title, rule)
  end

  -- A rule's answer as C reads it: indexes of candidates, and what each keeps (0: the default).
  local function order_of(candidates, answer)
    if type(answer) ~= "table" then
      error(format("answered a %s, neither nil nor a list of candidates", type(answer)), 0)
    end
    local index_of, indexes, keeps = {}, {}, {}
    for i, candidate in ipairs(candidates) do index_of[candidate] = i end
    for i, candidate in ipairs(answer) do
      local index = index_of[candidate]
      if not index then error("answered a list with something that is no candidate", 0) end
      index_of[candidate] = nil
      indexes[i], keeps[i] = index, 0
      if candidate.keep ~= nil then
        keeps[i] = kit.milliseconds(candidate.keep)
        if not keeps[i] or keeps[i] <= 0 then
          error('keep: not a duration of more than 0 (try "7d" or "forever")', 0)
        end
      end
    end
    return indexes, keeps
  end

  --- Who loses old samples when the disk is nearly full. First answer wins; see docs/lua-api.md.
  function tide.disk_pressure(title, rank)
    if type(rank) ~= "function" then
      error("tide.disk_pressure: the second argument is a function", 2)
    end
    register("disk_pressure", title, { decide = function(candidates)
      local all = {}
      for i, candidate in ipairs(candidates) do all[i] = candidate end
      local answer = rank(candidates)
      if answer == nil then return nil end
      return order_of(all, answer)
    end })
  end
end
