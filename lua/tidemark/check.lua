-- What `tidemark check` finds beyond what loading does: names that do not exist, rules in the
-- shade.
--
-- Both look at sources and rules only; nothing of the operator's runs here.

local dated = require "tidemark.check_dated"
local positions = require "tidemark.positions"
local env = require "tidemark.env"
local tide = require "tidemark.tide"
local units = require "tidemark.units"

local format = string.format

local check = {}

local dated_rules = {} -- warnings of the sources that were looked at

local function set_of(list)
  local set = {}
  for _, name in ipairs(list) do set[name] = true end
  return set
end

local function is(token, text) return token and token.kind == "symbol" and token.text == text end

-- All names that a source declares somewhere: locals, parameters, loop variables. Where they are
-- visible is not looked at, so a mistake can be missed, but nothing right is complained about.
local function declared(tokens)
  local names, i = {}, 1
  while tokens[i].kind ~= "end" do
    local list = nil
    if is(tokens[i], "local") then
      list = is(tokens[i + 1], "function") and i + 2 or i + 1
    elseif is(tokens[i], "for") then
      list = i + 1
    elseif is(tokens[i], "function") then
      list = i + 1
      while tokens[list].kind == "name" or is(tokens[list], ".") or is(tokens[list], ":") do
        list = list + 1
      end
      list = list + 1 -- the parenthesis
    end
    while list and tokens[list].kind == "name" do
      names[tokens[list].text] = true
      list = is(tokens[list + 1], ",") and list + 2 or nil
    end
    i = i + 1
  end
  return names
end

--- Names that are neither declared in the file nor offered.
---@return string[] problems, one "FILE:LINE: text" each
function check.names(source, file)
  for _, warning in ipairs(dated(source, file)) do dated_rules[#dated_rules + 1] = warning end
  local tokens = positions.tokens(source)
  local known, problems = declared(tokens), {}
  local offered = env.names()
  for _, name in ipairs { "tide", "require", "self" } do offered[#offered + 1] = name end
  local globals, of_tide = set_of(offered), set_of(tide.offered())
  local function problem(token, name, list)
    local near = units.nearest(name, list)
    problems[#problems + 1] = format("%s:%d: unknown name %s%s", file, token.line, name,
      near and format(" (did you mean %s?)", near) or "")
  end
  for i, token in ipairs(tokens) do
    local before, after = tokens[i - 1], tokens[i + 1]
    local field = is(before, ".") and not is(tokens[i - 2], ".") or is(before, ":")
    -- {name = value}, and ::label:: or goto label
    local key = is(after, "=") and not is(tokens[i + 2], "=") and
      (is(before, "{") or is(before, ",") or is(before, ";"))
    local label = is(before, "goto") or is(after, ":") and is(tokens[i + 2], ":") or
      is(before, ":") and is(tokens[i - 2], ":")
    if token.kind == "name" and not field and not key and not label then
      if not known[token.text] and not globals[token.text] then
        problem(token, token.text, offered)
      elseif token.text == "tide" and is(after, ".") and tokens[i + 2].kind == "name" and
        not of_tide[tokens[i + 2].text] then
        problem(token, "tide." .. tokens[i + 2].text, (function()
          local list = {}
          for j, name in ipairs(tide.offered()) do list[j] = "tide." .. name end
          return list
        end)())
      end
    end
  end
  return problems
end

-- A text that is the same for the same matchers.
local function signature(match)
  local parts = {}
  for i, matcher in ipairs(match or {}) do
    parts[i] = format("%q %d %q", matcher[1], matcher[2], matcher[3])
  end
  table.sort(parts)
  return table.concat(parts, ",")
end

-- A downsampling rule before rule number `at` that answers for all that it could be asked for.
local function downsampled_before(at)
  local rule = tide.rules[at]
  for i = 1, at - 1 do
    local before = tide.rules[i]
    if before.hook == "downsample" and not before.asks_match and
      before.after_ms <= rule.after_ms and (signature(before.match) == "" or
      not rule.asks_match and signature(before.match) == signature(rule.match)) then
      return before
    end
  end
end

-- What a declared rule does, as a text that is the same for rules that do the same.
local function meaning(value)
  if type(value) ~= "table" then return tostring(value) end
  local names, parts = {}, {}
  for name in pairs(value) do names[#names + 1] = name end
  table.sort(names, function(a, b) return tostring(a) < tostring(b) end)
  for i, name in ipairs(names) do parts[i] = tostring(name) .. "=" .. meaning(value[name]) end
  return "{" .. table.concat(parts, ",") .. "}"
end

-- Declared rules that cannot have an effect: of two limits that count the same series for the same
-- labels the wider one, and a transform that another one repeats.
local function declared_in_vain(problems)
  local seen = {}
  for _, rule in ipairs(tide.rules) do
    local limit, key = rule.limit, nil
    if rule.hook == "transform" then
      key = "transform " .. signature(rule.match) .. meaning(rule.transform)
    elseif limit then
      key = "limit " .. signature(rule.match) .. meaning(limit.by)
    end
    local before = key and seen[key]
    if before and rule.hook == "transform" then
      problems[#problems + 1] = format('%s:%d: transform "%s" does again what "%s" (%s:%d) did',
        rule.script, rule.line, rule.title, before.title, before.script, before.line)
    elseif before and limit.over == 0 and before.limit.over == 0 and
      (limit.series or math.huge) >= (before.limit.series or math.huge) and
      (limit.rate or math.huge) >= (before.limit.rate or math.huge) then
      problems[#problems + 1] = format('%s:%d: limit "%s" is never reached: "%s" (%s:%d) is as ' ..
        'narrow for the same series', rule.script, rule.line, rule.title, before.title,
        before.script, before.line)
    end
    if key and not before then seen[key] = rule end
  end
end

--- Rules that no series ever gets to, because one before them always answers.
---@return string[] problems
function check.rules()
  local problems, all, same = {}, nil, {}
  declared_in_vain(problems)
  for i, rule in ipairs(tide.rules) do
    local before = rule.hook == "downsample" and downsampled_before(i)
    if before then
      problems[#problems + 1] = format('%s:%d: downsample rule "%s" is never asked: ' ..
        '"%s" (%s:%d) answers before it (put the rule of the older samples first)', rule.script,
        rule.line, rule.title, before.title, before.script, before.line)
    end
    if rule.hook == "retention" then
      local shade = all or same[signature(rule.match)]
      if shade then
        problems[#problems + 1] = format('%s:%d: retention rule "%s" is never asked: ' ..
          '"%s" (%s:%d) answers before it', rule.script, rule.line, rule.title, shade.title,
          shade.script, shade.line)
      elseif rule.keep_ms then
        if signature(rule.match) == "" then all = rule end
        same[signature(rule.match)] = rule
      end
    end
  end
  return problems
end

--- Rules that may not be what was wanted.
---@param lookback_ms number query.lookback
---@return string[] warnings
function check.warnings(lookback_ms)
  local warnings = { unpack(dated_rules) }
  for _, rule in ipairs(tide.rules) do
    if rule.hook == "downsample" and rule.every_ms > lookback_ms then
      warnings[#warnings + 1] = format('warning: %s:%d: downsample rule "%s" leaves a sample ' ..
        "every %s, but instant queries look back %s only (query.lookback): on old data they " ..
        "find nothing between", rule.script, rule.line, rule.title,
        units.duration_text(rule.every_ms), units.duration_text(lookback_ms))
    end
  end
  return warnings
end

return check
