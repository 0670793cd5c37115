-- Rules that act: at times (every, record, alert), on events, when somebody calls (command).
--
-- Extends `tide` (see tide.lua, which calls this). They run on the scripts thread
-- (core/script/scheduler.c), commands on the thread of the console.

local format = string.format

local MIN_EVERY_MS = 1000

return function(tide, kit)
  local register, options_of = kit.register, kit.options_of

  local function duration(what, value, least)
    local ms = kit.milliseconds(value)
    if not ms or ms == math.huge or ms < least then
      error(format('%s: not a duration of at least %dms (try "1m")', what, least), 3)
    end
    return ms
  end

  --- Runs a function again and again.
  function tide.every(interval, title, run)
    if type(run) ~= "function" then
      error("tide.every: an interval, a title and a function, please", 2)
    end
    local every_ms = duration("tide.every", interval, MIN_EVERY_MS)
    register("every", title, { decide = run, every_ms = every_ms })
  end

  -- Texts by name as a sorted list of pairs.
  local function pairs_of(what, given, checked)
    if given == nil then return {} end
    if type(given) ~= "table" then error(format("%s: a table of texts, please", what), 3) end
    local list = {}
    for name, value in next, given do
      if type(name) ~= "string" or type(value) ~= "string" then
        error(format("%s: texts by name, please", what), 3)
      end
      if checked and not string.find(name, "^[%a_][%w_]*$") then
        error(format("%s: %s is no label's name", what, name), 3)
      end
      list[#list + 1] = { name, value }
    end
    table.sort(list, function(a, b) return a[1] < b[1] end)
    return list
  end

  local function expression(what, text)
    if type(text) ~= "string" then error(what .. ": expr is PromQL, a text", 3) end
    return text
  end

  local RECORD = { expr = true, every = true, labels = true, name = true }

  --- A recording rule: the answer to a query, stored under a name.
  function tide.record(title, what)
    if type(what) ~= "table" then
      error("tide.record: the second argument is { expr = ..., every = ... }", 2)
    end
    local rule = options_of("record", what, RECORD)
    local name = rule.name or title
    if type(name) ~= "string" or not string.find(name, "^[%a_:][%w_:]*$") then
      error("tide.record: the name is no metric's: " .. tostring(name), 2)
    end
    rule = { text = expression("tide.record", rule.expr), metric = name,
      every_ms = duration("tide.record: every", rule.every or "1m", MIN_EVERY_MS),
      labels = pairs_of("tide.record: labels", rule.labels, true) }
    register("record", title, rule)
  end

  local ALERT = { expr = true, every = true, labels = true, hold = true, keep_firing = true,
    annotations = true }

  --- An alerting rule: fires for each series of a query's answer.
  function tide.alert(title, what)
    if type(what) ~= "table" then
      error("tide.alert: the second argument is { expr = ..., hold = ..., ... }", 2)
    end
    local rule = options_of("alert", what, ALERT)
    local notes = rule.annotations
    rule = { text = expression("tide.alert", rule.expr),
      every_ms = duration("tide.alert: every", rule.every or "1m", MIN_EVERY_MS),
      hold_ms = duration("tide.alert: hold", rule.hold or 0, 0),
      keep_firing_ms = duration("tide.alert: keep_firing", rule.keep_firing or 0, 0),
      labels = pairs_of("tide.alert: labels", rule.labels, true) }
    if type(notes) == "function" then
      rule.decide = notes
    else
      rule.notes = pairs_of("tide.alert: annotations", notes, true)
    end
    register("alert", title, rule)
  end

  local EVENTS = { series_new = true, series_gone = true, limit_soft = true, damage = true,
    disk_low = true, script_error = true }

  --- Runs a function when something has happened.
  function tide.on(event, title, run)
    if type(event) ~= "string" or not EVENTS[event] then
      local list = {}
      for name in pairs(EVENTS) do list[#list + 1] = name end
      table.sort(list)
      error(format("tide.on: no event %s (%s)", tostring(event), table.concat(list, ", ")), 2)
    end
    if type(run) ~= "function" then
      error("tide.on: an event, a title and a function, please", 2)
    end
    register("on", title, { decide = run, text = event })
  end

  --- A command of the console: tide.commands.NAME(...).
  function tide.command(name, help, run)
    if type(name) ~= "string" or not string.find(name, "^%a[%w_]*$") then
      error("tide.command: a name of letters, digits and _", 2)
    end
    if type(help) ~= "string" or type(run) ~= "function" then
      error("tide.command: a name, a line of help and a function, please", 2)
    end
    register("command", name, { decide = run, text = help })
  end
end
