-- Rules that are declared for the way in and run in C: transform and limit.
--
-- Extends `tide` (see tide.lua, which calls this). What C reads of a rule (core/script/intake.c) is
-- in its table `transform` or `limit`, complete and checked.

local format = string.format

local HUGE = math.huge

return function(tide, kit)
  local register, options_of, milliseconds = kit.register, kit.options_of, kit.milliseconds

  -- A number that is one: no NaN, no infinity.
  local function is_finite(value)
    return type(value) == "number" and value == value and value ~= HUGE and value ~= -HUGE
  end

  local function is_whole(value) return is_finite(value) and value == math.floor(value) end

  -- --- transform ---------------------------------------------------------------------------------

  local TRANSFORM = { match = true, drop_nan = true, scale = true, offset = true, clamp = true,
    round = true, min_interval = true }

  -- What is wrong with a transform's options; nil: nothing.
  local function transform_problem(rule)
    if rule.drop_nan ~= nil and type(rule.drop_nan) ~= "boolean" then
      return "drop_nan: true or false"
    end
    if rule.scale ~= nil and not is_finite(rule.scale) then return "scale: not a number" end
    if rule.offset ~= nil and not is_finite(rule.offset) then return "offset: not a number" end
    local clamp = rule.clamp
    if clamp ~= nil then
      if type(clamp) ~= "table" then return "clamp: { min, max }, please" end
      local min, max = clamp[1] or clamp.min or -HUGE, clamp[2] or clamp.max or HUGE
      rule.min, rule.max = min, max -- read once: the table is the operator's
      if type(min) ~= "number" or type(max) ~= "number" or min ~= min or max ~= max or min > max or
        min == HUGE or max == -HUGE or (min == -HUGE and max == HUGE) then
        return "clamp: { min, max }, two numbers in this order (or { max = number })"
      end
    end
    if rule.round ~= nil and not (is_whole(rule.round) and math.abs(rule.round) <= 15) then
      return "round: how many digits behind the point, -15 to 15"
    end
    local interval = rule.min_interval
    if interval ~= nil then
      local ms = milliseconds(interval)
      if not ms or ms < 1 or ms > 86400000 then
        return 'min_interval: a duration of 1ms to 1d (try "10s")'
      end
    end
    if not (rule.drop_nan or rule.scale or rule.offset or clamp or rule.round or interval) then
      return "nothing is to be done: one of drop_nan, scale, offset, clamp, round, min_interval " ..
        "is needed"
    end
  end

  --- What is done with each sample on its way in, in C. All rules run.
  function tide.transform(title, what)
    if type(what) ~= "table" then
      error("tide.transform: the second argument is a table, such as { round = 2 }", 2)
    end
    local rule = options_of("transform", what, TRANSFORM)
    local problem = transform_problem(rule)
    if problem then error("tide.transform: " .. problem, 2) end
    register("transform", title, { match = rule.match, transform = {
      drop_nan = rule.drop_nan or false,
      scale = rule.scale, offset = rule.offset,
      min = rule.min, max = rule.max,
      round = rule.round,
      interval_ms = rule.min_interval and milliseconds(rule.min_interval) or 0,
    } })
  end

  -- --- limit -------------------------------------------------------------------------------------

  local LIMIT = { match = true, by = true, series = true, samples_per_second = true, burst = true,
    soft = true, over = true, strip = true, keep_one_in = true, keep = true }
  local OVER = { drop = 0, strip = 1, sample = 2, short = 3 }
  -- The option that a verdict needs, and that no other takes.
  local NEEDS = { strip = "strip", sample = "keep_one_in", short = "keep" }

  -- A list of names from one name or a list; nil if it is neither.
  local function names_of(value, most)
    if type(value) == "string" then value = { value } end
    if type(value) ~= "table" or #value > most then return nil end
    local list, seen = {}, {}
    for i = 1, #value do
      local name = value[i]
      if type(name) ~= "string" or name == "" or #name > 1024 or
        string.find(name, "%z") or seen[name] then
        return nil
      end
      seen[name], list[i] = true, name
    end
    return list
  end

  -- What is wrong with the verdict's options; nil: nothing.
  local function over_problem(rule)
    if not OVER[rule.over] then return 'over: "drop", "strip", "sample" or "short"' end
    for verdict, option in pairs(NEEDS) do
      if rule.over == verdict and rule[option] == nil then
        return format('over = "%s" needs %s', verdict, option)
      elseif rule.over ~= verdict and rule[option] ~= nil then
        return format('%s: only with over = "%s"', option, verdict)
      end
    end
    if rule.over == "strip" then
      local list = names_of(rule.strip, 32)
      if not list or #list == 0 then return "strip: a label name or a list of up to 32" end
      for _, name in ipairs(list) do
        if name == "__name__" then return "strip: a series needs its name" end
        for _, by in ipairs(rule.by) do
          if by == name then
            return format("strip: %s is a label of `by`: the series would count elsewhere", name)
          end
        end
      end
      rule.strip = list
    elseif rule.over == "sample" then
      local n = rule.keep_one_in
      if not is_whole(n) or n < 2 or n > 1e6 then
        return "keep_one_in: a whole number from 2 to 1000000"
      end
    elseif rule.over == "short" then
      rule.keep_ms = milliseconds(rule.keep)
      if not rule.keep_ms or rule.keep_ms <= 0 or rule.keep_ms == HUGE then
        return 'keep: not a duration (try "1d")'
      end
    end
    if not rule.series and (rule.over == "strip" or rule.over == "short") then
      return format('over = "%s" is about series: the option series is missing', rule.over)
    end
  end

  -- What is wrong with a limit's options; nil: nothing. Completes them.
  local function limit_problem(rule)
    rule.by = names_of(rule.by == nil and {} or rule.by, 8)
    if not rule.by then return "by: a label name or a list of up to 8" end
    if rule.series == nil and rule.samples_per_second == nil then
      return "nothing is bounded: series or samples_per_second is missing"
    end
    if rule.series ~= nil and not (is_whole(rule.series) and rule.series >= 0 and
      rule.series <= 2 ^ 32) then
      return "series: a whole number of series"
    end
    local rate = rule.samples_per_second
    if rate ~= nil and not (is_finite(rate) and rate > 0 and rate <= 1e12) then
      return "samples_per_second: a number over 0"
    end
    if rule.burst ~= nil and rate == nil then return "burst: only with samples_per_second" end
    rule.burst_ms = milliseconds(rule.burst == nil and "10s" or rule.burst)
    if not rule.burst_ms or rule.burst_ms < 1 or rule.burst_ms > 86400000 then
      return 'burst: a duration of 1ms to 1d (try "10s")'
    end
    rule.soft = rule.soft == nil and 0.8 or rule.soft
    if rule.soft == false then rule.soft = 0 end
    if not is_finite(rule.soft) or rule.soft < 0 or rule.soft > 1 then
      return "soft: a share from 0 to 1, or false"
    end
    rule.over = rule.over == nil and "drop" or rule.over
    return over_problem(rule)
  end

  --- How many series, and samples a second, each set of values of some labels may have.
  function tide.limit(title, what)
    if type(what) ~= "table" then
      error('tide.limit: the second argument is a table, such as { by = "tenant", series = 1000 }',
        2)
    end
    local rule = options_of("limit", what, LIMIT)
    local problem = limit_problem(rule)
    if problem then error("tide.limit: " .. problem, 2) end
    register("limit", title, { match = rule.match, limit = {
      by = rule.by, series = rule.series, rate = rule.samples_per_second,
      burst = rule.burst_ms / 1000, soft = rule.soft, over = OVER[rule.over],
      strip = rule.strip or {}, one_in = rule.keep_one_in or 1,
    } })
    if rule.over == "short" then -- its series carry this label (LIMIT_LABEL in store/intake.h)
      register("retention", title, { match = { { "over_limit", 0, title } },
        keep_ms = rule.keep_ms })
    end
  end
end
