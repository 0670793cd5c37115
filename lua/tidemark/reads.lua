-- Rules of what a read shows and what it can compute: result and func.
--
-- Extends `tide` (see tide.lua, which calls this).

local format = string.format

return function(tide, kit)
  local register, options_of = kit.register, kit.options_of

  local RESULT = { hide = true, decide = true, match = true }

  --- Changes labels of series as they are read.
  function tide.result(title, what)
    if type(what) ~= "table" then
      error("tide.result: the second argument is { hide = { names }, decide = function }", 2)
    end
    local rule = options_of("result", what, RESULT)
    if type(rule.decide) ~= "function" then error("tide.result: decide: not a function", 2) end
    if type(rule.hide) ~= "table" or #rule.hide == 0 or #rule.hide > 32 then
      error("tide.result: hide: a list of 1 to 32 label names", 2)
    end
    local names = {}
    for i, name in ipairs(rule.hide) do
      if type(name) ~= "string" or name == "" then
        error("tide.result: hide: a list of label names", 2)
      end
      names[i] = { name, "" }
    end
    rule.labels, rule.hide = names, nil
    register("result", title, rule)
  end

  local TYPES = { range = true, vector = true, scalar = true }

  --- A function of PromQL.
  function tide.func(name, what, run)
    if type(what) ~= "table" or type(run) ~= "function" then
      error('tide.func: a name, { args = "range, scalar" } and a function, please', 2)
    end
    local rule = options_of("func", what, { args = true })
    if type(rule.args) ~= "string" then error('tide.func: args: a text such as "range"', 2) end
    local list = {}
    for word in string.gmatch(rule.args .. ",", "%s*(.-)%s*,") do
      if not TYPES[word] then
        error(format("tide.func: args: %q is none of range, vector, scalar", word), 2)
      end
      if (word == "scalar") ~= (#list > 0) then
        error("tide.func: args: a range or a vector first, then scalars", 2)
      end
      list[#list + 1] = word
    end
    if #list > 8 then error("tide.func: args: at most 8", 2) end
    if type(name) ~= "string" or not string.find(name, "^[%a_][%w_]*$") then
      error("tide.func: a name of letters, digits and _", 2)
    end
    if native.is_function(name) then
      error("tide.func: PromQL has a function " .. name .. " already", 2)
    end
    register("func", name, { decide = run, text = table.concat(list, ",") })
  end
end
