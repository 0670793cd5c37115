-- A console session: its environment, answers as text and JSON, completion (core/script/session.c).

local console = require "tidemark.console"
local env = require "tidemark.env"
local help_texts = require "tidemark.help"
local pretty = require "tidemark.pretty"
local tide = require "tidemark.tide"
local operate = require "tidemark.operate"

local find, gmatch, gsub, match = string.find, string.gmatch, string.gsub, string.match

local session = {}

local commands = {} -- name -> function, of the scripts in force
local names -- what the environment falls back to
local environment

--- Prints its values, as the answer to a line would show them.
local function print(...)
  local parts = {}
  for i = 1, select("#", ...) do
    local value = select(i, ...)
    parts[i] = (gsub(pretty.text(value, session.limit), "\n$", ""))
  end
  native.print(table.concat(parts, "\t") .. "\n")
end

-- The name that a session has for a value, for help(plot).
local function name_of(value)
  for name, content in next, names do if content == value then return name end end
end

local function help(what)
  if what == nil then return native.print(help_texts.overview(session.helps)) end
  local name = type(what) == "string" and what or name_of(what)
  local text = name and help_texts.of(name, session.helps)
  if not text then error("help: nothing is known of that; help() lists all", 2) end
  native.print(text)
end

--- The environment that lines run in: globals may be set, and are kept.
function session.environment()
  if environment then return environment end
  names = tide.names()
  tide.extend("server", operate)
  tide.extend("confirm", operate.confirm)
  for name, command in next, console do names[name] = command end
  names.print, names.help, names.commands = print, help, env.read_only("commands", commands)
  environment = setmetatable({}, { __index = setmetatable(names, { __index = env.offered }),
    __metatable = false })
  return environment
end

--- Other scripts are in force: `list` has { name, help, function } of their commands.
function session.take_commands(list)
  for name in pairs(commands) do commands[name] = nil end
  session.helps = {}
  for _, command in ipairs(list) do
    commands[command[1]] = command[3]
    session.helps[command[1]] = command[2]
  end
end

--- The answer: a text, and the values as a JSON list.
function session.show(...)
  local texts, json = {}, {}
  for i = 1, select("#", ...) do
    local value = select(i, ...)
    texts[i] = pretty.text(value, session.limit)
    json[i] = pretty.json(value, session.limit)
  end
  return table.concat(texts), "[" .. table.concat(json, ",") .. "]"
end

-- --- completion ----------------------------------------------------------------------------------

local MAX_ITEMS = 200

local COLUMN_METHODS = { "last", "map", "max", "mean", "min", "quantile", "stddev", "sum" }

-- The names in a value that a dot (or colon) may stand behind.
local function fields_of(value)
  local list = {}
  if type(value) == "userdata" and native.is_column(value) then return COLUMN_METHODS end
  if type(value) == "string" then value = env.string_names end
  if type(value) ~= "table" then return list end
  for key in next, env.contents(value) or value do
    if type(key) == "string" and find(key, "^[%a_][%w_]*$") then list[#list + 1] = key end
  end
  return list
end

-- Reads without calling anything of the operator's.
local function raw(value, key)
  if type(value) ~= "table" then return nil end
  local content = env.contents(value)
  return rawget(content or value, key)
end

local function globals()
  local list = {}
  for key in next, environment do list[#list + 1] = key end
  for key in next, names do list[#list + 1] = key end
  for _, key in ipairs(env.names()) do list[#list + 1] = key end
  return list
end

local function lookup(name)
  local value = rawget(environment, name)
  if value == nil then value = rawget(names, name) end
  if value == nil then value = rawget(env.offered, name) end
  return value
end

-- Whether the end of the text is inside of quotes; then where they begin.
local function open_quote(text)
  local quote, from, i = nil, nil, 1
  while i <= #text do
    local byte = text:sub(i, i)
    if quote then
      if byte == "\\" then
        i = i + 1
      elseif byte == quote then
        quote = nil
      end
    elseif byte == '"' or byte == "'" then
      quote, from = byte, i
    elseif text:sub(i, i + 1) == "[[" then
      local close = find(text, "]]", i + 2, true)
      if not close then return i + 1 end
      i = close + 1
    elseif text:sub(i, i + 1) == "--" then
      i = find(text, "\n", i, true) or #text
    end
    i = i + 1
  end
  return quote and from
end

-- Patterns that try every place take the square of the length: the end of a line is enough.
local function tail(text) return text:sub(-200) end

-- In a text: PromQL, most likely. Prefix and candidates.
local function complete_query(text)
  text = tail(text)
  local braces = match(text, "{([^{}]*)$")
  if braces then
    local name, prefix = match(braces, '([%a_][%w_]*)%s*[=!]~?%s*["\']([^"\']*)$')
    if name then return prefix, native.label_texts(name, nil, 10000) end
    prefix = match(braces, "([%a_]?[%w_]*)$")
    return prefix, native.label_texts(nil, nil, 10000)
  end
  local prefix = match(text, "([%a_:]?[%w_:]*)$")
  local list = native.function_names()
  for _, name in ipairs(native.label_texts("__name__", nil, 10000)) do list[#list + 1] = name end
  return prefix, list
end

local function complete_lua(text)
  local path = match(tail(text), "([%a_][%w_%.:]*)$") or ""
  local before, prefix = match(path, "^(.*)[%.:]([%w_]*)$")
  if not before then return path, globals() end
  local value
  for name in gmatch(before, "[^%.:]+") do
    if value == nil then value = lookup(name) else value = raw(value, name) end
    if value == nil then return prefix, {} end
  end
  return prefix, fields_of(value)
end

--- Where what may be replaced begins (bytes from 0), and what may stand there instead.
function session.complete(text)
  session.environment()
  local quote = open_quote(text)
  local prefix, list
  if quote then
    prefix, list = complete_query(text:sub(quote + 1))
  else
    prefix, list = complete_lua(text)
  end
  local items, seen = {}, {}
  table.sort(list)
  for _, name in ipairs(list) do
    if name:sub(1, #prefix) == prefix and not seen[name] and #items < MAX_ITEMS then
      seen[name] = true
      items[#items + 1] = name
    end
  end
  local json = #items > 0 and pretty.json(items, 1e6) or "[]"
  return '{"from":' .. #text - #prefix .. ',"items":' .. json .. "}"
end

return session
