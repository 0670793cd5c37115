-- Values as people read them (Lua, and tables of series) and as programs do (JSON).
--
-- Trusted; gets values of operator code, so it looks at tables raw and calls nothing of theirs.

local rows = require "tidemark.rows"

local format, rep = string.format, string.rep
local find, gmatch, gsub = string.find, string.gmatch, string.gsub

local MAX_DEPTH, MAX_ITEMS = 8, 1000

local pretty = {}

-- --- a text that ends when it is long enough -----------------------------------------------------

local function writer(limit)
  local self = { parts = {}, size = 0, limit = limit }
  function self.put(text)
    if self.size > limit then return end
    self.size = self.size + #text
    self.parts[#self.parts + 1] = text
  end
  function self.full() return self.size > limit end
  return self
end

local function number(value)
  if value ~= value then return "nan" end
  if value == math.huge then return "inf" elseif value == -math.huge then return "-inf" end
  if value == math.floor(value) and math.abs(value) < 1e15 then return format("%d", value) end
  for digits = 15, 17 do
    local text = format("%." .. digits .. "g", value)
    if tonumber(text) == value then return text end
  end
end

--- A number in as many digits as it needs.
pretty.number = number

local function quoted(text)
  return '"' .. gsub(text, '[%c"\\\127]', function(byte)
    if byte == "\n" then return "\\n" elseif byte == "\t" then return "\\t" end
    if byte == '"' or byte == "\\" then return "\\" .. byte end
    return format("\\%03d", byte:byte())
  end) .. '"'
end

--- A text in quotes, as Lua has it.
pretty.quoted = quoted

local KEYWORDS = {}
for word in gmatch([[and break do else elseif end false for function goto if in local nil not or
  repeat return then true until while]], "%a+") do KEYWORDS[word] = true end

local function key_text(key)
  if type(key) == "string" and find(key, "^[%a_][%w_]*$") and not KEYWORDS[key] then return key end
  if type(key) == "string" then return "[" .. quoted(key) .. "]" end
  return "[" .. (type(key) == "number" and number(key) or tostring(key)) .. "]"
end

-- Keys in an order that people expect: numbers, then texts, then the rest.
local function sorted_keys(t)
  local keys = {}
  for key in next, t do keys[#keys + 1] = key end
  table.sort(keys, function(a, b)
    local x, y = type(a), type(b)
    if x ~= y then
      if x == "number" or y == "number" then return x == "number" end
      if x == "string" or y == "string" then return x == "string" end
      return x < y
    end
    if x == "number" or x == "string" then return a < b end
    return false
  end)
  return keys
end

local function is_column(value) return type(value) == "userdata" and native.is_column(value) end

-- --- series --------------------------------------------------------------------------------------

local function is_series(value)
  if type(value) ~= "table" then return false end
  local labels = rawget(value, "labels")
  if type(labels) ~= "table" then return false end
  for name, text in next, labels do
    if type(name) ~= "string" or type(text) ~= "string" then return false end
  end
  local v, column = rawget(value, "value"), rawget(value, "values")
  local last = rawget(value, "last")
  return (v == nil or type(v) == "number") and (column == nil or is_column(column)) and
    (last == nil or type(last) == "number")
end

local function is_series_list(t)
  if rawget(t, 1) == nil then return false end
  local count = 0
  for key, value in next, t do
    if type(key) ~= "number" or not is_series(value) then return false end
    count = count + 1
  end
  return count == #t
end

--- name{label="value"} of a table of labels.
function pretty.series_name(labels)
  local parts = {}
  for _, name in ipairs(sorted_keys(labels)) do
    if name ~= "__name__" then
      parts[#parts + 1] = name .. "=" .. quoted(rawget(labels, name))
    end
  end
  return (rawget(labels, "__name__") or "") ..
    ((#parts > 0 or not rawget(labels, "__name__")) and "{" .. table.concat(parts, ", ") .. "}"
      or "")
end

--- Seconds since 1970 as a date and time, UTC.
function pretty.time(seconds)
  return native.time_text(seconds)
end

local function put_series_list(out, list)
  local names, width = {}, 0
  for i, series in ipairs(list) do
    if i > MAX_ITEMS then break end
    names[i] = pretty.series_name(rawget(series, "labels"))
    width = math.max(width, math.min(#names[i], 100))
  end
  for i, series in ipairs(list) do
    if i > MAX_ITEMS then
      out.put(format("... and %d more\n", #list - MAX_ITEMS))
      break
    end
    local value, values = rawget(series, "value"), rawget(series, "values")
    local line = names[i] .. rep(" ", width - #names[i])
    if value then
      line = line .. "  " .. number(value)
    elseif values then
      local times = rawget(series, "times")
      line = line .. format("  %d samples", #values)
      if #values > 0 and is_column(times) then
        local first, last = pretty.time(times[1]), pretty.time(times[#times])
        line = line .. format(", %s to %s, last %s", first, last,
          number(values[#values]))
      end
    elseif rawget(series, "last") then
      line = line .. "  " .. (rawget(series, "first") and pretty.time(rawget(series, "first")) or
        "?") .. " to " .. pretty.time(rawget(series, "last"))
    end
    out.put(line .. "\n")
    if out.full() then return end
  end
end

-- --- Lua -----------------------------------------------------------------------------------------

local put

local function put_column(out, column)
  local parts = {}
  for i = 1, math.min(#column, 20) do parts[i] = number(column[i]) end
  out.put(format("column of %d: %s%s", #column, table.concat(parts, ", "),
    #column > 20 and ", ..." or ""))
end

local function put_table(out, t, indent, depth, seen)
  if seen[t] then return out.put "{ ... again ... }" end
  if next(t) == nil then return out.put "{}" end
  if depth > MAX_DEPTH then return out.put "{ ... }" end
  seen[t] = true
  local inner = indent .. "  "
  out.put "{\n"
  local length = #t
  for i = 1, math.min(length, MAX_ITEMS) do
    out.put(inner)
    put(out, rawget(t, i), inner, depth + 1, seen)
    out.put ",\n"
    if out.full() then return end
  end
  local items = length
  for _, key in ipairs(sorted_keys(t)) do
    if type(key) ~= "number" or key < 1 or key > length or key % 1 ~= 0 then
      items = items + 1
      if items > MAX_ITEMS then break end
      out.put(inner .. key_text(key) .. " = ")
      put(out, rawget(t, key), inner, depth + 1, seen)
      out.put ",\n"
      if out.full() then return end
    end
  end
  if items > MAX_ITEMS then out.put(inner .. "...\n") end
  out.put(indent .. "}")
  seen[t] = nil
end

function put(out, value, indent, depth, seen)
  local kind = type(value)
  if kind == "string" then
    out.put(quoted(value))
  elseif kind == "number" then
    out.put(number(value))
  elseif kind == "table" then
    put_table(out, value, indent, depth, seen)
  elseif is_column(value) then
    put_column(out, value)
  elseif kind == "boolean" or kind == "nil" then
    out.put(tostring(value))
  else
    out.put(kind)
  end
end

--- A text for people; cut after `limit` bytes.
function pretty.text(value, limit)
  local out = writer(limit)
  if type(value) == "table" and not rows.is_marked(value) and is_series_list(value) then
    put_series_list(out, value)
  elseif type(value) == "string" then
    out.put(value)
    out.put "\n"
  elseif type(value) ~= "table" or not rows.put(out, value, pretty) then
    put(out, value, "", 1, {})
    out.put "\n"
  end
  local text = table.concat(out.parts)
  if out.full() then text = text:sub(1, limit) .. "\n... (cut)\n" end
  return text
end

-- --- JSON ----------------------------------------------------------------------------------------

local ESCAPES = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t" }

local function json_text(text)
  if not native.is_utf8(text) then
    text = gsub(text, "[\128-\255]", "?")
  end
  return '"' .. gsub(text, '[%c"\\\127]', function(byte)
    return ESCAPES[byte] or format("\\u%04x", byte:byte())
  end) .. '"'
end

local function json_number(value)
  local text = number(value)
  if text == "nan" then return '"NaN"' end
  if text == "inf" then return '"+Inf"' elseif text == "-inf" then return '"-Inf"' end
  return text
end

local json_put

local function json_list(out, count, at, depth, seen)
  out.put "["
  for i = 1, count do
    if i > 1 then out.put "," end
    json_put(out, at(i), depth + 1, seen)
    if out.full() then return end
  end
  out.put "]"
end

local function json_table(out, t, depth, seen)
  if seen[t] then error("the value contains itself", 0) end
  if depth > 64 then error("the value is more than 64 deep", 0) end
  seen[t] = true
  local count = 0
  for key in next, t do
    if type(key) ~= "number" then count = nil break end
    count = count + 1
  end
  if count and count == #t and (count > 0 or next(t) == nil) and count ~= 0 then
    json_list(out, count, function(i) return rawget(t, i) end, depth, seen)
  else
    out.put "{"
    for i, key in ipairs(sorted_keys(t)) do
      if i > 1 then out.put "," end
      out.put(json_text(type(key) == "number" and number(key) or tostring(key)) .. ":")
      json_put(out, rawget(t, key), depth + 1, seen)
      if out.full() then return end
    end
    out.put "}"
  end
  seen[t] = nil
end

function json_put(out, value, depth, seen)
  local kind = type(value)
  if kind == "string" then
    out.put(json_text(value))
  elseif kind == "number" then
    out.put(json_number(value))
  elseif kind == "boolean" then
    out.put(tostring(value))
  elseif kind == "nil" then
    out.put "null"
  elseif kind == "table" then
    json_table(out, value, depth, seen)
  elseif is_column(value) then
    json_list(out, #value, function(i) return value[i] end, depth, seen)
  else
    out.put(json_text(kind))
  end
end

--- A value as JSON; raises when it would be longer than `limit`.
function pretty.json(value, limit)
  local out = writer(limit)
  json_put(out, value, 1, {})
  if out.full() then error("the answer is longer than " .. limit .. " bytes of JSON", 0) end
  return table.concat(out.parts)
end

return pretty
