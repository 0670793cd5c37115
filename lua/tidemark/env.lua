-- The names that operator code sees, and no others.
--
-- Trusted. Loaded once a state, before any operator code. It changes the real string table, which
-- any string reaches by its metatable; this file and the other embedded ones work on copies of it.

local string, table, math, bit = string, table, math, bit
local error, getmetatable, ipairs, pairs, select = error, getmetatable, ipairs, pairs, select
local setmetatable, tostring, type = setmetatable, tostring, type

local MAX_TEXT = 1024 * 1024

local env = {}

-- --- strings: no patterns (they backtrack without end), nothing that makes much out of little
-- ------

local text = {}
for _, name in ipairs { "byte", "char", "len", "lower", "reverse", "sub", "upper" } do
  text[name] = string[name]
end

function text.rep(s, n, separator)
  if type(s) == "number" then s = tostring(s) end
  if type(s) ~= "string" or type(n) ~= "number" then error("rep: not a text and a number", 2) end
  local size = #s + (type(separator) == "string" and #separator or 0)
  if size * n > MAX_TEXT then error("rep: the text would be longer than 1 MiB", 2) end
  return string.rep(s, n, separator)
end

-- Plain only. What looks like a pattern is an error unless `plain` says that it is none.
function text.find(s, what, init, plain)
  if not plain and type(what) == "string" and string.find(what, "[%^%$%*%+%?%(%[%%]") then
    error("find: patterns are not offered; find(s, what, 1, true) looks for the text itself", 2)
  end
  return native.find(s, what, init)
end

function text.format(form, ...)
  for i = 1, select("#", ...) do
    local kind = type((select(i, ...)))
    if kind ~= "string" and kind ~= "number" and kind ~= "nil" and kind ~= "boolean" then
      error("format: value " .. i .. " is a " .. kind, 2)
    end
  end
  return string.format(form, ...)
end

local real = getmetatable("").__index
for name in pairs(real) do real[name] = nil end
for name, value in pairs(text) do real[name] = value end
getmetatable("").__metatable = false

-- --- tables --------------------------------------------------------------------------------------

local tables = { concat = table.concat, remove = table.remove }

function tables.insert(t, position, ...)
  if getmetatable(t) == false then error("insert: the table is read-only", 2) end
  if select("#", ...) == 0 then return table.insert(t, position) end
  if type(position) ~= "number" or position < 1 or position > #t + 1 then
    error("insert: the position is not in the list", 2)
  end
  return table.insert(t, position, (...))
end

-- Always with a comparison in Lua: inside it the time limit holds.
local function less(a, b) return a < b end
function tables.sort(t, comparison) return table.sort(t, comparison or less) end

-- --- what is offered -----------------------------------------------------------------------------

-- An empty table through which another one is read, and that cannot be written.
local contents = setmetatable({}, { __mode = "k" })

local function read_only(name, content)
  local proxy = setmetatable({}, {
    __index = content,
    __newindex = function(_, key)
      local field = type(key) == "string" and "." .. key or ""
      error("cannot set " .. name .. field .. ": read-only", 2)
    end,
    __metatable = false,
  })
  contents[proxy] = content
  return proxy
end
env.read_only = read_only

--- The table behind a read-only one, for completion; nil: it is none.
function env.contents(proxy) return contents[proxy] end

local maths = {}
for name, value in pairs(math) do maths[name] = value end
local bits = {}
for name, value in pairs(bit) do bits[name] = value end

local offered = {
  assert = assert, error = error, ipairs = ipairs, next = next, pairs = pairs, rawequal = rawequal,
  select = select, setmetatable = setmetatable, tonumber = tonumber, type = type, unpack = unpack,
  pcall = native.pcall, xpcall = native.xpcall,
  string = read_only("string", real), table = read_only("table", tables),
  math = read_only("math", maths), bit = read_only("bit", bits),
}

-- Without metamethods (recursion through them takes seconds to unwind) and without addresses.
function offered.tostring(value)
  local kind = type(value)
  if kind == "string" or kind == "number" or kind == "boolean" or kind == "nil" then
    return tostring(value)
  end
  return kind
end

env.offered, env.string_names = offered, text
setmetatable(offered, { __index = function(_, name)
  error("unknown name '" .. tostring(name) .. "'", 2)
end })

--- The names offered without any more, sorted.
function env.names()
  local list = {}
  for name in pairs(offered) do list[#list + 1] = name end
  table.sort(list)
  return list
end

--- An environment for one chunk.
---@param more table|nil further names, such as tide
function env.fresh(more)
  local names = offered
  if more then names = setmetatable(more, { __index = offered }) end
  return setmetatable({}, {
    __index = names,
    __newindex = function(_, name)
      error("cannot set the global '" .. tostring(name) .. "': write local in front of it", 2)
    end,
    __metatable = false,
  })
end

return env
