-- What operators call: `tide`. Registers rules while scripts load; small helpers at any time.
--
-- One instance a state. C (core/script/ruleset.c) reads `rules` after loading and calls the
-- functions in them; what is decided here is only whether a rule is well-formed.

local env = require "tidemark.env"
local selector = require "tidemark.selector"
local units = require "tidemark.units"

local format = string.format

local library = {
  rules = {}, -- in file order: { hook, title, script, line, match, keep_ms, decide }
  refuse_type = { __metatable = false }, -- and of what tide.refuse returns
  drop_type = { __metatable = false }, -- metatable of what tide.drop returns
}

local tide = {}

-- --- registering ----------------------------------------------------------

local loading = true

--- Called by C when all files are loaded: from now on nothing can be registered.
function library.loaded() loading = false end

-- Blames the line of the operator's script that called the tide function.
local function blame(...) error(format(...), 3) end

-- Milliseconds of what stands for a duration: "15d", seconds, "forever" (math.huge); or nil.
local function milliseconds(value)
  if value == "forever" or value == math.huge then return math.huge end
  if type(value) == "number" then return value >= 0 and math.floor(value * 1000 + 0.5) or nil end
  return type(value) == "string" and units.duration(value) or nil
end
library.milliseconds = milliseconds

local titles = {}

-- The common part of all rules: checks the title and adds the rule.
local function register(hook, title, rule)
  local script, line = native.where(3)
  if not loading then error("rules are registered while scripts load, not later", 3) end
  if type(title) ~= "string" then
    error(format("tide.%s: the first argument is the rule's title, a text", hook), 3)
  end
  if #title == 0 or #title > 100 or string.find(title, "%c") then
    error(format("tide.%s: a title has 1 to 100 bytes and no control characters", hook), 3)
  end
  local key = hook .. " " .. title
  if titles[key] then
    error(format('tide.%s: the title "%s" is taken by %s', hook, title, titles[key]), 3)
  end
  titles[key] = format("%s:%d", script, line)
  rule.hook, rule.title, rule.script, rule.line = hook, title, script, line
  library.rules[#library.rules + 1] = rule
end

-- Takes a rule's options apart: only the names given are allowed; match becomes matchers.
local function options_of(hook, given, allowed)
  local rule = {}
  for name, value in pairs(given) do
    if not allowed[name] then
      local list = {}
      for one in pairs(allowed) do list[#list + 1] = one end
      table.sort(list)
      local near = type(name) == "string" and units.nearest(name, list)
      error(format("tide.%s: unknown option %s%s", hook, tostring(name),
        near and format(" (did you mean %s?)", near) or ""), 3)
    end
    rule[name] = value
  end
  if rule.match ~= nil then
    local matchers, problem = selector.parse(rule.match)
    if not matchers then error(format("tide.%s: match: %s", hook, problem), 3) end
    for _, matcher in ipairs(matchers) do
      problem = native.check_matcher(matcher[1], matcher[2], matcher[3])
      if problem then error(format("tide.%s: match: %s", hook, problem), 3) end
    end
    rule.match = matchers
  end
  return rule
end

local RETENTION = { match = true, keep = true }

--- How long a series is kept. First answer wins; see docs/lua-api.md.
function tide.retention(title, what)
  local rule
  if type(what) == "function" then
    rule = { decide = what }
  elseif type(what) == "table" then
    rule = options_of("retention", what, RETENTION)
    if type(rule.keep) == "function" then
      rule.decide = rule.keep
    else
      rule.keep_ms = milliseconds(rule.keep)
      if not rule.keep_ms or rule.keep_ms <= 0 then
        blame('tide.retention: keep: not a duration (try "15d" or "forever")')
      end
    end
  else
    blame("tide.retention: the second argument is a function or { match = ..., keep = ... }")
  end
  register("retention", title, rule)
end

-- A rule of a function, or of { match = selector, decide = function }.
local function deciding(hook)
  local allowed = { match = true, decide = true }
  return function(title, what)
    local rule
    if type(what) == "function" then
      rule = { decide = what }
    elseif type(what) == "table" then
      rule = options_of(hook, what, allowed)
      if type(rule.decide) ~= "function" then blame("tide.%s: decide: not a function", hook) end
    else
      blame("tide.%s: the second argument is a function or { match = ..., decide = ... }", hook)
    end
    register(hook, title, rule)
  end
end

--- Which new series come in, and under which labels. All rules run; the first drop ends it.
tide.admit = deciding "admit"
--- What becomes of a damaged file. First answer wins.
tide.quarantine = deciding "quarantine"

--- An answer of admit: do not store this series.
function tide.drop(reason)
  if type(reason) ~= "string" or #reason == 0 or #reason > 100 then
    error("tide.drop: a reason, a text of 1 to 100 bytes", 2)
  end
  return setmetatable({ reason = reason }, library.drop_type)
end

--- What a client may read. All rules run, in file order; the first refusal ends it.
function tide.query(title, decide)
  if type(decide) ~= "function" then blame("tide.query: the second argument is a function") end
  register("query", title, { decide = decide })
end

--- An answer of query: the client gets this status and text.
function tide.refuse(status, text)
  if type(status) ~= "number" or status < 400 or status > 599 or status % 1 ~= 0 then
    error("tide.refuse: the status is a number from 400 to 599", 2)
  end
  if type(text) ~= "string" or #text == 0 or #text > 200 then
    error("tide.refuse: a text of 1 to 200 bytes", 2)
  end
  return setmetatable({ status = status, text = text }, library.refuse_type)
end

-- --- more rules, and what rules that act can do --------------------------------------------------

local kit = { register = register, options_of = options_of, milliseconds = milliseconds }
for _, module in ipairs { "intake", "reads", "timers", "acts", "old_data" } do
  require("tidemark." .. module)(tide, kit)
end

-- --- times and sizes
-- ------------------------------------------------------------------------------

local function number(name, value)
  if type(value) ~= "number" then error(format("tide.%s: not a number", name), 3) end
  return value
end

for name, seconds in pairs { seconds = 1, minutes = 60, hours = 3600, days = 86400,
  weeks = 7 * 86400 } do
  tide[name] = function(count) return number(name, count) * seconds end
end

--- Seconds of a duration text.
function tide.duration(text)
  local ms = milliseconds(text)
  if not ms then error('tide.duration: not a duration (try "15d")', 2) end
  return ms / 1000
end

--- Bytes of a size text.
function tide.size(text)
  local bytes = type(text) == "number" and text or type(text) == "string" and units.size(text)
  if not bytes then error('tide.size: not a size (try "64KiB")', 2) end
  return bytes
end

--- The server's time, in seconds since 1970.
function tide.now() return native.now() end
--- Seconds that have gone since a time.
function tide.ago(time) return native.now() - number("ago", time) end

-- --- texts, labels, log
-- ---------------------------------------------------------------------------

--- Whether all of a text matches an RE2 expression.
function tide.matches(text, expression) return native.matches(text, expression) end
--- The expression's template filled from a text that it matches in full; nil if it does not.
function tide.replace(text, expression, template)
  return native.replace(text, expression, template)
end

--- Names and values of a series' labels, for a generic for.
function tide.pairs(labels)
  local i = 0
  return function()
    i = i + 1
    return native.label_at(labels, i)
  end
end

local ESCAPED = { ["\\"] = "\\\\", ['"'] = '\\"', ["\n"] = "\\n" }

local function quoted(text) return '"' .. string.gsub(text, '[\\"\n]', ESCAPED) .. '"' end

--- The selector of series with these labels; a value of "" means: without that label.
function tide.selector(labels)
  if type(labels) ~= "table" then error("tide.selector: a table of labels, please", 2) end
  local list = {}
  for name, value in next, labels do
    if type(name) ~= "string" or name == "" or type(value) ~= "string" then
      error("tide.selector: labels are texts by name", 2)
    end
    if not string.find(name, "^[%a_][%w_]*$") then name = quoted(name) end
    list[#list + 1] = name .. "=" .. quoted(value)
  end
  table.sort(list)
  return "{" .. table.concat(list, ",") .. "}"
end

local log = {}
for level, name in ipairs { "error", "warn", "info", "debug" } do
  log[name] = function(message) native.log(level - 1, message) end
end
tide.log = env.read_only("tide.log", log)

-- --- counters of scripts ---------------------------------------------------------------

local metric = {}

-- The labels as they are printed between braces.
local function labels_text(names, values)
  local list = {}
  for i, name in ipairs(names) do
    local value = values[i]
    if type(value) ~= "string" or #value > 200 then
      error("add: " .. name .. " is a text of at most 200 bytes", 3)
    end
    list[i] = name .. "=" .. quoted(value)
  end
  return table.concat(list, ",")
end

--- A counter on /metrics, tidemark_script_NAME; counter:add(values..., by).
function metric.counter(name, labels, help)
  if type(name) ~= "string" or #name > 100 or not string.find(name, "^%l[%l%d_]*$") then
    error("tide.metric.counter: a name of lower-case letters, digits and _", 2)
  end
  labels = labels or {}
  local names = {}
  for i = 1, #labels do
    names[i] = labels[i]
    if type(names[i]) ~= "string" or not string.find(names[i], "^%l[%l%d_]*$") or i > 5 then
      error("tide.metric.counter: at most 5 label names, of lower-case letters, digits and _", 2)
    end
  end
  help = type(help) == "string" and string.gsub(help, "%c", " ") or "Counted by a script."
  local cells = {}
  local counter = {}
  function counter.add(_, ...)
    local by = select(#names + 1, ...)
    if by == nil then by = 1 end
    if type(by) ~= "number" or by < 0 or by ~= math.floor(by) or by > 2 ^ 53 then
      error("add: a whole number that is not negative", 2)
    end
    local text = labels_text(names, { ... })
    cells[text] = cells[text] or native.tally(name, help, text)
    if cells[text] then native.tally_add(cells[text], by) end
  end
  return env.read_only("counter", counter)
end

tide.metric = env.read_only("tide.metric", metric)

-- --- modules
-- --------------------------------------------------------------------------------------

-- --- what C asks of the query userdata ----------------------------------------------------------

--- The matchers of q:restrict's argument: a selector, or a table of label = value.
function library.restrictions(what)
  if type(what) == "string" then
    local list, problem = selector.parse(what)
    if not list then error("restrict: " .. problem, 0) end
    if #list == 0 then error("restrict: the selector names no label", 0) end
    return list
  end
  if type(what) ~= "table" then error("restrict: a table or a selector, please", 0) end
  local list = {}
  for name, value in next, what do
    if type(name) ~= "string" or type(value) ~= "string" or value == "" then
      error("restrict: label names with texts that are not empty", 0)
    end
    list[#list + 1] = { name, 0, value }
  end
  if #list == 0 then
    error("restrict: the table is empty (is the value nil?)", 0)
  end
  return list
end

library.tide = env.read_only("tide", setmetatable(tide, { __index = function(_, name)
  error("unknown name 'tide." .. tostring(name) .. "'", 2)
end }))

local modules, BUSY = {}, {}

local function operator_require(name)
  if name == "tidemark" then return library.tide end
  if type(name) ~= "string" then error("require: a text, please", 2) end
  if modules[name] == BUSY then error("require: " .. name .. " requires itself", 2) end
  if modules[name] == nil then
    local chunk = native.library(name)
    if not chunk then error("require: there is no lib/" .. name .. ".lua", 2) end
    modules[name] = BUSY
    local result = chunk()
    modules[name] = result == nil and true or result
  end
  return modules[name]
end

--- A table of the names that operator chunks see beyond env.lua's; a fresh one for each.
function library.names() return { tide = library.tide, require = operator_require } end

--- One more name of tide, in states that have more to offer than rules need.
function library.extend(name, value) tide[name] = value end

--- Forgets the rules of the scripts that were loaded: others are loaded into this state.
function library.reset()
  for i = #library.rules, 1, -1 do library.rules[i] = nil end
  for key in pairs(titles) do titles[key] = nil end
  for key in pairs(modules) do modules[key] = nil end
  loading = true
end

--- The names of tide, sorted.
function library.offered()
  local list = {}
  for name in pairs(tide) do list[#list + 1] = name end
  table.sort(list)
  return list
end

return library
