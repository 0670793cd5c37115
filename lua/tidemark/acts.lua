-- What scripts do where they may act: tide.query, push, series, store; and what they share.
--
-- Extends `tide` (see tide.lua, which calls this). The work is C's: core/script/act_binding.c and
-- shared.c.

local env = require "tidemark.env"
local units = require "tidemark.units"

local format = string.format

return function(tide, kit)
  local function seconds(name, value)
    if value == nil then return nil end
    local ms = kit.milliseconds(value)
    if not ms or ms == math.huge then
      error(format('%s: not a duration (try "5m")', name), 3)
    end
    return ms / 1000
  end

  local function check_options(what, given, allowed)
    if type(given) ~= "table" then error(format("%s: a table of options, please", what), 3) end
    for name in next, given do
      if not allowed[name] then
        local list = {}
        for one in pairs(allowed) do list[#list + 1] = one end
        local near = type(name) == "string" and units.nearest(name, list)
        error(format("%s: unknown option %s%s", what, tostring(name),
          near and format(" (did you mean %s?)", near) or ""), 3)
      end
    end
  end

  local QUERY = { time = true, from = true, to = true, step = true, timeout = true, as = true }
  kit.query_rule = tide.query

  --- A rule of reads (title, function), or an answer to PromQL (text, options).
  function tide.query(text, options)
    if type(options) == "function" then
      return kit.query_rule(text, options)
    end
    if type(text) ~= "string" then error("tide.query: PromQL as a text, please", 2) end
    options = options or {}
    check_options("tide.query", options, QUERY)
    if options.as ~= nil and options.as ~= "user" then
      error('tide.query: as = "user" or nothing', 2)
    end
    if (options.from or options.to) and not options.step then
      error("tide.query: from and to want a step", 2)
    end
    return native.query(text, options.time, options.from, options.to,
      seconds("step", options.step), seconds("timeout", options.timeout), options.as == "user")
  end

  -- The flat list of labels of a series to push: the name, the series' own, then the given ones.
  local function flat(what, name, labels, own)
    if type(name) ~= "string" or name == "" then
      error(what .. ": the metric's name is a text", 3)
    end
    if type(labels) ~= "table" then error(what .. ": labels are a table, {} for none", 3) end
    local set = {}
    for key, value in next, own or {} do if key ~= "__name__" then set[key] = value end end
    for key, value in next, labels do set[key] = value end
    set.__name__ = name
    local list = {}
    for key, value in next, set do
      if type(key) ~= "string" or type(value) ~= "string" then
        error(what .. ": labels are texts by name", 3)
      end
      list[#list + 1] = key
      list[#list + 1] = value
    end
    return list
  end

  --- Stores a number, or each series of a query's answer, under a name; when the function is done.
  function tide.push(name, labels, value, time)
    if type(value) == "number" then
      native.push(flat("tide.push", name, labels), value, time)
      return 1
    end
    if type(value) ~= "table" then
      error("tide.push: a number or a query's answer, not a " .. type(value), 2)
    end
    for _, series in ipairs(value) do
      if type(series) ~= "table" or type(series.value) ~= "number" then
        error("tide.push: not the answer of an instant query", 2)
      end
      native.push(flat("tide.push", name, labels, series.labels), series.value, time)
    end
    return #value
  end

  --- Stores many samples of any age in one series, when the function is done; how many they are.
  function tide.import(name, labels, times, values)
    return native.import(flat("tide.import", name, labels), times, values)
  end

  local SERIES = { from = true, to = true, limit = true }

  --- Series that match a selector, with their first and last times; and how many there are.
  function tide.series(selector, options)
    if type(selector) ~= "string" then error("tide.series: a selector, please", 2) end
    options = options or {}
    check_options("tide.series", options, SERIES)
    return native.series(selector, options.from, options.to, options.limit)
  end

  local DELETE = { from = true, to = true, id = true }

  -- Names what a dry run counted: its selector, its times and how much it was.
  local function plan_id(selector, from, to, counted)
    return native.fingerprint(format("%s|%s|%s|%d|%d", selector, from, to, counted.series,
      counted.samples))
  end

  --- Counts what a delete would take; with the id of such a count, takes it (into the trash).
  function tide.delete(selector, options)
    if type(selector) ~= "string" or selector == "" then
      error("tide.delete: a selector, please", 2)
    end
    options = options or {}
    check_options("tide.delete", options, DELETE)
    local from, to = options.from, options.to
    if options.id ~= nil and (from == nil or to == nil) then
      error("tide.delete: with an id the from and to of its plan, please", 2)
    end
    from, to = from or 0, to or native.now()
    local counted = native.delete(selector, from, to, true)
    counted.from, counted.to = from, to
    counted.id = plan_id(selector, from, to, counted)
    if options.id == nil then return counted end
    if options.id ~= counted.id then
      error("tide.delete: since the plan something has changed: look at a new one", 2)
    end
    return native.delete(selector, from, to, false)
  end

  --- Brings back what a delete took.
  function tide.undelete(trash)
    if type(trash) ~= "string" then error("tide.undelete: the trash's id, please", 2) end
    return native.undelete(trash)
  end

  local store = {}

  --- Numbers of the store.
  function store.stats() return native.stats() end
  --- Label names, of all series or of those that match.
  function store.label_names(selector) return native.label_texts(nil, selector) end
  --- Values of a label, of all series or of those that match.
  function store.label_values(name, selector)
    if type(name) ~= "string" then error("tide.store.label_values: a label's name, please", 2) end
    return native.label_texts(name, selector)
  end

  tide.store = env.read_only("tide.store", store)

  -- --- shared by all threads -------------------------------------------------------------------

  local shared = {}

  --- What is kept under a name; nil when there is nothing.
  function shared.get(name) return native.shared_get(name) end
  --- Keeps a number or a text; nil takes it away.
  function shared.set(name, value) native.shared_set(name, value, false) end
  --- Keeps it if there is nothing yet; whether it did.
  function shared.add(name, value)
    if value == nil then error("tide.shared.add: a number or a text, please", 2) end
    return native.shared_set(name, value, true)
  end
  --- Adds to a number (1 when nothing is said; what is absent is 0); the sum.
  function shared.incr(name, by) return native.shared_add(name, by or 1) end
  --- The names that begin with a text, sorted.
  function shared.names(prefix)
    local list = native.shared_names(prefix)
    table.sort(list)
    return list
  end

  tide.shared = env.read_only("tide.shared", shared)
end
