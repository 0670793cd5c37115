-- On which line of a config.lua a key stands.
--
-- LuaJIT does not keep the lines of table constructors, so the source is read again: split into
-- tokens, then the returned table is followed through constructors, `local name = {...}` and
-- assignments such as `c.storage.retention = "15d"`. What is built in other ways (loops,
-- functions) has the line of the nearest table around it.

local find, match, sub = string.find, string.match, string.sub

local positions = {}

local OPENS = { ["("] = true, ["{"] = true, ["["] = true, ["function"] = true, ["if"] = true,
  ["do"] = true, ["repeat"] = true }
local CLOSES = { [")"] = true, ["}"] = true, ["]"] = true, ["end"] = true, ["until"] = true }
local KEYWORDS = {}
for word in string.gmatch("and break do else elseif end false for function goto if in local nil " ..
  "not or repeat return then true until while", "%a+") do KEYWORDS[word] = true end

-- The value of a quoted string without escapes; nil when it has some (no key of ours does).
local function unquote(text)
  local inner = sub(text, 2, -2)
  return not find(inner, "\\", 1, true) and inner or nil
end

--- The source as a list of { kind = name|string|number|symbol|end, text, line }. Keywords and
--- unknown bytes are symbols.
---@param source string
function positions.tokens(source)
  local tokens, at, line = {}, 1, 1
  local function skip_to(last)
    for _ in string.gmatch(sub(source, at, last), "\n") do line = line + 1 end
    at = last + 1
  end
  local function add(kind, text, last)
    tokens[#tokens + 1] = { kind = kind, text = text, line = line }
    skip_to(last)
  end
  if sub(source, 1, 1) == "#" then skip_to((find(source, "\n", 1, true) or #source + 1) - 1) end
  while at <= #source do
    local space = match(source, "^%s+()", at)
    local level = match(source, "^%-%-%[(=*)%[", at)
    local long = match(source, "^%[(=*)%[", at)
    if space then
      skip_to(space - 1)
    elseif level then
      local _, last = find(source, "]" .. level .. "]", at, true)
      skip_to(last or #source)
    elseif sub(source, at, at + 1) == "--" then
      skip_to((find(source, "\n", at, true) or #source + 1) - 1)
    elseif long then
      local first, last = find(source, "]" .. long .. "]", at, true)
      add("string", sub(source, at + #long + 2, (first or #source + 1) - 1), last or #source)
    elseif match(source, "^[\"']", at) then
      local quote, stop = sub(source, at, at), at + 1
      while stop <= #source and sub(source, stop, stop) ~= quote do
        stop = stop + (sub(source, stop, stop) == "\\" and 2 or 1)
      end
      add("string", unquote(sub(source, at, stop)), stop)
    else
      local word = match(source, "^[%a_][%w_]*", at)
      local number = match(source, "^%.?%d[%w_.]*", at)
      local text = word or number or sub(source, at, at)
      add(word and not KEYWORDS[word] and "name" or number and "number" or "symbol", text,
        at + #text - 1)
    end
  end
  tokens[#tokens + 1] = { kind = "end", line = line }
  return tokens
end

-- The token after the expression that begins at i: a separator or closing bracket of its own level.
local function expression_end(tokens, i)
  local depth = 0
  while tokens[i].kind ~= "end" do
    local text = tokens[i].kind == "symbol" and tokens[i].text
    if depth == 0 and (text == "," or text == ";" or text == "}") then return i end
    if OPENS[text] then depth = depth + 1 elseif CLOSES[text] then depth = depth - 1 end
    if depth < 0 then return i end
    i = i + 1
  end
  return i
end

local function is(token, text) return token.kind == "symbol" and token.text == text end

local follow

-- The entries of the constructor whose "{" is token i, below `path`.
local function constructor(state, i, path)
  local tokens, index = state.tokens, 0
  i = i + 1
  while tokens[i].kind ~= "end" and not is(tokens[i], "}") do
    local key, line, value = nil, tokens[i].line, i
    if tokens[i].kind == "name" and is(tokens[i + 1], "=") then
      key, value = tokens[i].text, i + 2
    elseif is(tokens[i], "[") and is(tokens[i + 2], "]") and is(tokens[i + 3], "=") then
      key, value = tokens[i + 1].text, i + 4
    elseif is(tokens[i], "[") then
      value = expression_end(tokens, i + 1) + 2
    else
      index = index + 1
      key = index
    end
    if key then
      local name = path == "" and tostring(key) or path .. "." .. key
      state.lines[name] = line
      follow(state, value, name)
    end
    i = expression_end(tokens, math.min(value, #tokens))
    if is(tokens[i], ",") or is(tokens[i], ";") then i = i + 1 end
    if not is(tokens[i], "}") and tokens[i].kind == "symbol" and CLOSES[tokens[i].text] then
      return -- not Lua
    end
  end
end

-- Where a variable gets tables or fields: name = {...}, name.a.b = ...
local function assignments(state, name, path)
  local tokens = state.tokens
  for i = 1, #tokens do
    local before = tokens[i - 1]
    local starts = tokens[i].kind == "name" and tokens[i].text == name and
      not (before and (is(before, ".") or is(before, ":")))
    if starts then
      local at, field = i + 1, path
      while true do
        local next_name
        local bracket = is(tokens[at], "[") and tokens[at + 1].kind == "string"
        if is(tokens[at], ".") and tokens[at + 1].kind == "name" then
          next_name, at = tokens[at + 1].text, at + 2
        elseif bracket and is(tokens[at + 2], "]") then
          next_name, at = tokens[at + 1].text, at + 3
        else
          break
        end
        field = field == "" and next_name or field .. "." .. (next_name or "?")
      end
      local assigned = is(tokens[at], "=") and not is(tokens[at + 1], "=")
      -- Inside a constructor `name = value` is a field, not this variable; followed all the same
      -- only when it is a statement: the token before is no "{", "," or ";".
      local entry = before and (is(before, "{") or is(before, ",") or is(before, ";"))
      if assigned and not (entry and at == i + 1) then
        if field ~= path then state.lines[field] = tokens[i].line end
        follow(state, at + 1, field)
      end
    end
  end
end

-- What the value that begins at token i says about `path`.
function follow(state, i, path)
  local token = state.tokens[i]
  if not token or state.depth > 20 then return end
  state.depth = state.depth + 1
  if is(token, "{") then
    constructor(state, i, path)
  elseif token.kind == "name" and not state.seen[token.text .. "\n" .. path] then
    local next_token = state.tokens[i + 1]
    if not (next_token.kind == "symbol" and find(next_token.text, "^[.:%[(]")) then
      state.seen[token.text .. "\n" .. path] = true
      assignments(state, token.text, path)
    end
  end
  state.depth = state.depth - 1
end

--- Lines of the keys of the table that a chunk returns.
---@param source string the chunk
---@return table<string, integer> line by dotted path; [""] is the line of the last return
function positions.find(source)
  local state = { tokens = positions.tokens(source), lines = {}, seen = {}, depth = 0 }
  local last, depth = #state.tokens, 0
  for i, token in ipairs(state.tokens) do
    local text = token.kind == "symbol" and token.text
    if depth == 0 and text == "return" then last = i end
    if OPENS[text] then depth = depth + 1 elseif CLOSES[text] then depth = depth - 1 end
  end
  state.lines[""] = state.tokens[last].line
  follow(state, last + 1, "")
  return state.lines
end

--- The line of a key, or of the nearest table around it.
---@param lines table<string, integer> from positions.find
---@param path string
---@return integer
function positions.line(lines, path)
  while not lines[path] and path ~= "" do path = match(path, "^(.*)%.[^.]*$") or "" end
  return lines[path] or 1
end

return positions
