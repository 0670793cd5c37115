-- Upstream's PromQL test scripts as Lua tables: commands, their series, points, expectations.
local script = {}

local STALE, NAN = "7ff0000000000002", "7ff8000000000001"

-- "1m30s", "100", "-5", "1.5" to milliseconds.
local units = { ms = 1, s = 1000, m = 60000, h = 3600000, d = 86400000, w = 604800000,
  y = 31536000000 }
function script.duration(text)
  local number = tonumber(text)
  if number then return math.floor(number * 1000 + 0.5) end
  local sign, rest = text:match("^(-?)(.*)$")
  local total = 0
  for count, unit in rest:gmatch("(%d+)(%a+)") do
    total = total + tonumber(count) * assert(units[unit], text)
  end
  return sign == "-" and -total or total
end

local escapes = { n = "\n", t = "\t", r = "\r", ["\\"] = "\\", ['"'] = '"', ["'"] = "'" }

-- The quoted text that begins at `at`; returns it and the position behind.
local function quoted(text, at)
  local mark, out, i = text:sub(at, at), {}, at + 1
  while i <= #text do
    local c = text:sub(i, i)
    if c == mark then return table.concat(out), i + 1 end
    if c == "\\" and mark ~= "`" then
      i = i + 1
      c = text:sub(i, i)
      if c == "x" then
        c = string.char(tonumber(text:sub(i + 1, i + 2), 16))
        i = i + 2
      else
        c = escapes[c] or c
      end
    end
    out[#out + 1] = c
    i = i + 1
  end
  error("no end of string: " .. text)
end

-- name{a="b"} or {"name", "a"="b"} at the beginning of a line: labels and the rest of the line.
function script.series(line)
  local labels, at = {}, 1
  local name = line:match("^[%a_:][%w_:]*")
  if name then
    labels.__name__ = name
    at = #name + 1
  end
  if line:sub(at, at) ~= "{" then
    if not name then return nil, line end
    return labels, line:sub(at)
  end
  at = at + 1
  while true do
    at = line:find("[^%s,]", at)
    local c = line:sub(at, at)
    if c == "}" then return labels, line:sub(at + 1) end
    local key
    if c == '"' or c == "'" then
      key, at = quoted(line, at)
    else
      key = line:match("^[%w_:.]+", at)
      at = at + #key
    end
    at = line:find("%S", at)
    if line:sub(at, at) == "=" then
      local value
      at = line:find("%S", at + 1)
      value, at = quoted(line, at)
      if value ~= "" then labels[key] = value end
    else
      labels.__name__ = key
    end
  end
end

local function number(text)
  local lower = text:lower()
  if lower == "inf" or lower == "+inf" then return 1 / 0 end
  if lower == "-inf" then return -1 / 0 end
  if lower == "nan" then return NAN end
  return assert(tonumber(text), "not a number: " .. text)
end

-- "1+2" to 1 and 2; the sign of an exponent does not part them.
local function slope(text)
  for i = 2, #text do
    local c = text:sub(i, i)
    if (c == "+" or c == "-") and not text:sub(i - 1, i - 1):match("[eE]") then
      return text:sub(1, i - 1), text:sub(i)
    end
  end
  return text
end

-- Points of a line: a list of numbers, of hex bits (NaN, stale) and of false for gaps.
function script.points(text)
  local list = {}
  for item in text:gmatch("%S+") do
    local base, times = item:match("^(.*)x(%d+)$")
    if item == "_" then
      list[#list + 1] = false
    elseif item == "stale" then
      list[#list + 1] = STALE
    elseif base == "_" then
      for _ = 1, tonumber(times) do list[#list + 1] = false end
    elseif base then
      local first, step = slope(base)
      first = first == "stale" and STALE or number(first)
      for i = 0, tonumber(times) do
        list[#list + 1] = step and first + number(step) * i or first
      end
    else
      list[#list + 1] = number(item)
    end
  end
  return list
end

local function parse_expect(eval, line)
  local kind, rest = line:match("^expect%s+(%S+)%s*(.*)$")
  if kind == "range" then
    local from, to, step = rest:match("^vector%s+from%s+(%S+)%s+to%s+(%S+)%s+step%s+(%S+)")
    eval.vector = { from = script.duration(from), to = script.duration(to),
      step = script.duration(step) }
  elseif kind == "string" then
    eval.string = quoted(rest, 1)
  elseif kind == "ordered" then
    eval.ordered = true
  else
    local how, text = rest:match("^(%a+)%s*:%s*(.*)$")
    if text and text:match('^"') then text = quoted(text, 1) end
    eval.expects[#eval.expects + 1] = { kind = kind, how = how, text = text }
  end
end

local function parse_eval(line)
  local variant, at, expression = line:match("^eval(_?%a*)%s+instant%s+at%s+(%S+)%s+(.*)$")
  local eval
  if at then
    eval = { kind = "eval", at = script.duration(at), expression = expression }
  else
    local from, to, step
    variant, from, to, step, expression =
      line:match("^eval(_?%a*)%s+range%s+from%s+(%S+)%s+to%s+(%S+)%s+step%s+(%S+)%s+(.*)$")
    assert(from, line)
    eval = { kind = "eval", from = script.duration(from), to = script.duration(to),
      step = script.duration(step), expression = expression }
  end
  eval.expects, eval.series = {}, {}
  if variant == "_fail" then eval.expects[1] = { kind = "fail" } end
  if variant == "_ordered" then eval.ordered = true end
  if variant == "_warn" then eval.expects[1] = { kind = "warn" } end
  if variant == "_info" then eval.expects[1] = { kind = "info" } end
  return eval
end

-- A label set that is given twice in one load means the later line.
local function add_to_load(command, line)
  local labels, rest = script.series(line)
  local text = line:sub(1, #line - #rest)
  local one = { labels = labels, points = script.points(rest) }
  command.by_text = command.by_text or {}
  local at = command.by_text[text] or #command.series + 1
  command.by_text[text] = at
  command.series[at] = one
end

local function parse_detail(command, line)
  if command.kind == "load" then
    add_to_load(command, line)
  elseif line:match("^expect%s") then
    parse_expect(command, line)
  elseif line:match("^expected_fail_message%s") then
    command.expects[#command.expects + 1] = { kind = "fail", how = "msg",
      text = line:match("^%S+%s+(.*)$") }
  elseif line:match("^expected_fail_regexp%s") then
    command.expects[#command.expects + 1] = { kind = "fail", how = "regex",
      text = line:match("^%S+%s+(.*)$") }
  else
    local labels, rest = script.series(line)
    if labels and labels.__name__ and rest == "" and number and
        pcall(number, labels.__name__) then
      command.scalar = number(labels.__name__) -- Inf and NaN look like names
    elseif labels then
      command.series[#command.series + 1] = { labels = labels, points = script.points(rest) }
    else
      command.scalar = number(line)
    end
  end
end

-- Reads a script: a list of { kind = "load" | "clear" | "eval", line = n, ... }.
function script.read(path)
  local commands, number_of_line = {}, 0
  for raw in io.lines(path) do
    number_of_line = number_of_line + 1
    local line = raw:match("^%s*(.-)%s*$")
    if line == "" or line:match("^#") then
      line = nil
    elseif line:match("^clear") then
      commands[#commands + 1] = { kind = "clear" }
    elseif line:match("^load") then
      commands[#commands + 1] = { kind = "load", series = {},
        interval = script.duration(line:match("^%S+%s+(%S+)")) }
    elseif line:match("^eval") then
      commands[#commands + 1] = parse_eval(line)
    else
      parse_detail(commands[#commands], line)
    end
    if line then
      commands[#commands].line = commands[#commands].line or number_of_line
    end
  end
  return commands
end

return script
