-- Series selectors as operators write them: up, {job="x", env!~"dev|test"}, up{job="x"}.
--
-- The matchers themselves are C's (model/matcher.h); here the text is taken apart.

local byte, char, find, format, match, sub = string.byte, string.char, string.find, string.format,
  string.match, string.sub

local selector = {}

local OPERATORS = { "=~", "!~", "!=", "=" }
-- Numbers of enum matcher_type.
local TYPES = { ["="] = 0, ["!="] = 1, ["=~"] = 2, ["!~"] = 3 }

local ESCAPES = { a = "\a", b = "\b", f = "\f", n = "\n", r = "\r", t = "\t", v = "\v",
  ["\\"] = "\\", ['"'] = '"', ["'"] = "'" }

local function utf8(code)
  if code < 0x80 then return char(code) end
  if code < 0x800 then return char(0xc0 + code / 64, 0x80 + code % 64) end
  return char(0xe0 + code / 4096, 0x80 + code / 64 % 64, 0x80 + code % 64)
end

-- The quoted text that begins at `at`, and where it ends; nil and a problem otherwise.
local function quoted(text, at)
  local quote = sub(text, at, at)
  if quote == "`" then
    local stop = find(text, "`", at + 1, true)
    if not stop then return nil, "a text without its closing `" end
    return sub(text, at + 1, stop - 1), stop + 1
  end
  if quote ~= '"' and quote ~= "'" then return nil, "a text in quotes is missing" end
  local out, i = {}, at + 1
  while true do
    local c = sub(text, i, i)
    if c == "" then return nil, "a text without its closing " .. quote end
    if c == quote then return table.concat(out), i + 1 end
    if c == "\\" then
      local hex = match(text, "^x(%x%x)", i + 1)
      local short = match(text, "^u(%x%x%x%x)", i + 1)
      local octal = match(text, "^[0-3][0-7][0-7]", i + 1)
      local plain = ESCAPES[sub(text, i + 1, i + 1)]
      if hex then
        out[#out + 1], i = char(tonumber(hex, 16)), i + 4
      elseif short then
        out[#out + 1], i = utf8(tonumber(short, 16)), i + 6
      elseif octal then
        out[#out + 1], i = char(tonumber(octal, 8)), i + 4
      elseif plain then
        out[#out + 1], i = plain, i + 2
      else
        return nil, format("unknown escape \\%s", sub(text, i + 1, i + 1))
      end
    else
      out[#out + 1], i = c, i + 1
    end
  end
end

local function skip(text, at) return match(text, "^%s*()", at) end

-- One matcher between the braces: the matcher and where it ends, or nil and a problem.
local function one_matcher(text, at)
  local name, next_at = match(text, "^([%a_][%w_]*)()", at)
  if not name then
    name, next_at = quoted(text, at)
    if not name then return nil, "a label name is missing" end
  end
  at = skip(text, next_at)
  for _, operator in ipairs(OPERATORS) do
    if sub(text, at, at + #operator - 1) == operator then
      local value, stop = quoted(text, skip(text, at + #operator))
      if not value then return nil, stop end
      return { name, TYPES[operator], value }, stop
    end
  end
  local next_byte = byte(text, at)
  if (next_byte == byte "," or next_byte == byte "}") and not match(text, "^[%a_]", at - 1) then
    return { "__name__", TYPES["="], name }, at -- {"metric.name"}
  end
  return nil, "=, !=, =~ or !~ is missing after " .. name
end

--- The matchers of a selector.
---@param text string
---@return table|nil list of { name, type, value }, nil|string problem
function selector.parse(text)
  if type(text) ~= "string" then return nil, "not a text but a " .. type(text) end
  local list, at = {}, skip(text, 1)
  local name, after = match(text, "^([%a_:][%w_:]*)()", at)
  if name then
    list[1] = { "__name__", TYPES["="], name }
    at = skip(text, after)
  end
  if sub(text, at, at) == "{" then
    at = skip(text, at + 1)
    while sub(text, at, at) ~= "}" do
      local matcher, stop = one_matcher(text, at)
      if not matcher then return nil, format("at character %d: %s", at, stop) end
      list[#list + 1] = matcher
      at = skip(text, stop)
      if sub(text, at, at) == "," then
        at = skip(text, at + 1)
      elseif sub(text, at, at) ~= "}" then
        return nil, format("at character %d: neither , nor }", at)
      end
    end
    at = skip(text, at + 1)
  elseif not name then
    return nil, "neither a metric name nor {"
  end
  if at <= #text then return nil, format("at character %d: something follows", at) end
  return list
end

--- The labels of one series: of a selector with nothing but `=`, or of a table by name.
---@return table|nil list of { name, value }, nil|string problem
function selector.labels(what)
  local list = {}
  if type(what) == "string" then
    local matchers, problem = selector.parse(what)
    if not matchers then return nil, problem end
    for i, matcher in ipairs(matchers) do
      if matcher[2] ~= 0 then return nil, "a series has labels, not matchers: only =" end
      list[i] = { matcher[1], matcher[3] }
    end
    return list
  end
  if type(what) ~= "table" then return nil, "a selector or a table of labels, please" end
  for name, value in next, what do
    if type(name) ~= "string" or type(value) ~= "string" then return nil, "labels are texts" end
    list[#list + 1] = { name, value }
  end
  return list
end

return selector
