-- Checks what config.lua returned against the schema, and prints a configuration as config.lua.
--
-- Values are kept in one flat table by dotted name, in the units of C: durations in milliseconds
-- (math.huge: forever), sizes in bytes, choices as their number from 0, lists as records.lua says.

local schema = require "tidemark.schema"
local units = require "tidemark.units"
local positions = require "tidemark.positions"
local records = require "tidemark.records"

local find, format, gsub, match, rep, sub = string.find, string.format, string.gsub, string.match,
  string.rep, string.sub
local concat, sort = table.concat, table.sort

local config = {}

local keys, sections, names = {}, {}, {}
for _, entry in ipairs(schema) do
  if entry.name then
    keys[#keys + 1] = entry
    keys[entry.name] = entry
    names[#names + 1] = entry.name
  else
    sections[entry.section] = entry
  end
end

--- All keys in the schema's order, and by name.
config.keys = keys
--- Texts of the tables that keys stand in, by name.
config.sections = sections

-- A value as the operator may have written it, for messages. Never calls into the value.
local function shown(value)
  if type(value) == "string" then
    if #value > 60 then value = sub(value, 1, 57) .. "..." end
    return format("%q", value)
  elseif type(value) == "number" then
    return format("%.14g", value)
  elseif type(value) == "boolean" then
    return tostring(value)
  end
  return "a " .. type(value)
end

-- From a value to C's form: the value, or nil and what is wrong with it.
local convert = {}

function convert.path(_, value)
  if type(value) ~= "string" then return nil, "not a text" end
  if find(value, "%z") then return nil, "has a zero byte" end
  return value
end

for _, kind in ipairs { "listeners", "users", "origins" } do
  convert[kind] = function(_, value) return records[kind](value, shown) end
end

function convert.choice(key, value)
  for i, choice in ipairs(key.choices) do
    if value == choice then return i - 1 end
  end
  local near = type(value) == "string" and units.nearest(value, key.choices)
  return nil, format('not one of "%s"%s', concat(key.choices, '", "'),
    near and format(' (did you mean "%s"?)', near) or "")
end

function convert.duration(key, value)
  if key.forever and value == "forever" then return math.huge end
  local ms = type(value) == "string" and units.duration(value)
  if ms then return ms end
  local try = type(value) == "number" and value > 0 and value < 1e9 and format("%.14gs", value) or
    key.default
  return nil, format('not a duration (try "%s"%s)', try, key.forever and ' or "forever"' or "")
end

function convert.size(key, value)
  if type(value) == "number" and value >= 0 and value == math.floor(value) and value < 2 ^ 53 then
    return value
  end
  local bytes = type(value) == "string" and units.size(value)
  if bytes then return bytes end
  return nil, format('not a size (try "%s")', key.default)
end

function convert.integer(_, value)
  if type(value) ~= "number" then return nil, "not a number" end
  if value ~= math.floor(value) or value >= 2 ^ 53 or value <= -2 ^ 53 then
    return nil, "not a whole number"
  end
  return value
end

function convert.number(_, value)
  if type(value) ~= "number" or value ~= value then return nil, "not a number" end
  return value
end

-- A flag's text as the value that config.lua would hold.
local function from_text(key, text)
  if key.type == "integer" or key.type == "number" then return tonumber(text) or text end
  return text
end

local function bound(key, which)
  local value = key[which]
  return value and (type(value) == "string" and convert[key.type](key, value) or value)
end

--- One value, checked: in C's form, or nil and what is wrong.
---@param key table of the schema
---@param value any
---@return any value, or nil, the problem, and where in the value it is: "[2].roles"
function config.convert(key, value)
  local result, problem, where = convert[key.type](key, value)
  if result == nil then return nil, problem, where end
  local min, max = bound(key, "min"), bound(key, "max")
  if min and result < min then return nil, "too small (at least " .. tostring(key.min) .. ")" end
  if max and result > max and result ~= math.huge then
    return nil, "too large (at most " .. format(type(key.max) == "string" and "%s" or "%.14g",
      key.max) .. ")"
  end
  return result
end

--- The defaults, flat, and origins that say so.
function config.defaults()
  local values, origins = {}, {}
  for _, key in ipairs(keys) do
    values[key.name] = assert(config.convert(key, key.default))
    origins[key.name] = "default"
  end
  return values, origins
end

-- The names that may stand directly in a table: of keys and of sections.
local function names_within(prefix)
  local list, seen = {}, {}
  for _, name in ipairs(names) do
    if sub(name, 1, #prefix) == prefix then
      local part = match(sub(name, #prefix + 1), "^[^.]+")
      if not seen[part] then
        seen[part] = true
        list[#list + 1] = part
      end
    end
  end
  return list
end

-- Right name, wrong table: retention = "15d" at the top.
local function elsewhere(name)
  for _, full in ipairs(names) do
    if match(full, "[^.]+$") == name then return full end
  end
end

-- What to say about a name that is no key.
local function unknown(prefix, name)
  local near = units.nearest(name, names_within(prefix))
  if near then return format('unknown key (did you mean "%s"?)', prefix .. near) end
  near = elsewhere(name)
  if near then return format('unknown key (did you mean "%s"?)', near) end
  near = units.nearest(prefix .. name, names)
  return "unknown key" .. (near and format(' (did you mean "%s"?)', near) or "")
end

-- Walks one table of the configuration; `problem(path, text)` collects.
local function walk(given, prefix, values, origins, origin, problem)
  local order = {}
  for name in pairs(given) do order[#order + 1] = name end
  sort(order, function(a, b) return tostring(a) < tostring(b) end)
  for _, name in ipairs(order) do
    local value, path = given[name], prefix .. tostring(name)
    local key = type(name) == "string" and keys[path]
    if key then
      local result, text, where = config.convert(key, value)
      if result == nil and where then
        problem(path .. gsub(where, "%[(%d+)%]", ".%1"), path .. where .. ": " .. text)
      elseif result == nil then
        problem(path, path .. " " .. shown(value) .. ": " .. text)
      else
        values[path] = result
        origins[path] = origin(path)
      end
    elseif type(name) == "string" and sections[path] then
      if type(value) == "table" then
        walk(value, path .. ".", values, origins, origin, problem)
      else
        local other = elsewhere(name)
        problem(path, format("%s: not a table but %s (%s)", path, shown(value),
          other and format('did you mean "%s"?', other) or
          format("try %s = { %s = ... }", path, names_within(path .. ".")[1])))
      end
    elseif type(name) == "string" then
      problem(path, path .. ": " .. unknown(prefix, name))
    else
      problem(path, format("%s %s: a value without a name", prefix == "" and "config" or
        sub(prefix, 1, -2), shown(value)))
    end
  end
end

--- Checks what config.lua returned.
---@param given any
---@param source string its text, for the lines
---@param file string its name, for messages
---@return table|nil values, table|string origins or the problems, one a line
function config.check(given, source, file)
  local lines = positions.find(source)
  if type(given) ~= "table" then
    return nil, format("%s:%d: returns %s, not a table of settings", file, lines[""] or 1,
      given == nil and "nothing" or shown(given))
  end
  local values, origins = config.defaults()
  local problems = {}
  local function problem(path, text)
    local line = positions.line(lines, path)
    problems[#problems + 1] = { line = line, text = format("%s:%d: %s", file, line, text) }
  end
  local function origin(path) return format("%s:%d", file, positions.line(lines, path)) end
  walk(given, "", values, origins, origin, problem)
  if #problems > 0 then
    sort(problems, function(a, b)
      if a.line ~= b.line then return a.line < b.line end
      return a.text < b.text
    end)
    for i, one in ipairs(problems) do problems[i] = one.text end
    return nil, concat(problems, "\n")
  end
  return values, origins
end

--- A flag's text, checked.
---@return any value in C's form, or nil and the problem
function config.set(flag, name, text)
  local key = keys[name]
  if not key then
    local prefix, last = match(name, "^(.*%.)([^.]*)$")
    return nil, format("%s %s: %s", flag, name, unknown(prefix or "", last or name))
  end
  local result, problem = config.convert(key, from_text(key, text))
  if result == nil then return nil, format("%s %s %s: %s", flag, name, shown(text), problem) end
  return result
end

-- A text as Lua source, on one line.
local function quote(text) return (gsub(format("%q", text), "\\\n", "\\n")) end

-- A value of C's form as Lua source.
local function source_of(key, value)
  if key.type == "choice" then return format("%q", key.choices[value + 1]) end
  if key.type == "duration" then
    return format("%q", value == math.huge and "forever" or units.duration_text(value))
  end
  if key.type == "size" then
    return value % 1024 == 0 and value > 0 and format("%q", units.size_text(value)) or
      format("%d", value)
  end
  if key.type == "integer" then return format("%d", value) end
  if key.type == "number" then return format("%.15g", value) end
  if records[key.type] then return records[key.type .. "_source"](value) end
  return quote(value)
end

--- Prints values as a config.lua; `comment(key)` may give a list of comment lines and a remark that
--- follows the value, `prefix` stands in front of each setting ("-- " comments them out).
local function print_keys(values, comment, prefix, section_comment)
  local out, open = { "return {" }, nil
  for _, key in ipairs(keys) do
    local section, last = match(key.name, "^(.*)%.([^.]*)$")
    if section ~= open then
      if open then out[#out + 1] = "  }," end
      out[#out + 1] = ""
      for _, line in ipairs(section and section_comment(sections[section]) or {}) do
        out[#out + 1] = "  " .. line
      end
      if section then out[#out + 1] = "  " .. section .. " = {" end
      open = section
    end
    local indent = rep("  ", section and 2 or 1)
    local lines, remark = comment(key)
    for _, line in ipairs(lines) do out[#out + 1] = indent .. line end
    out[#out + 1] = indent .. prefix .. (last or key.name) .. " = " ..
      source_of(key, values[key.name]) .. "," .. (remark and " -- " .. remark or "")
  end
  if open then out[#out + 1] = "  }," end
  out[#out + 1] = "}"
  return concat(out, "\n") .. "\n"
end

-- Users and passwords of URLs are nobody's business: a configuration is shown to people and pages.
local function without_passwords(values)
  return setmetatable({}, { __index = function(_, name)
    local value = values[name]
    return type(value) == "string" and (gsub(value, "://[^/@%s]*@", "://")) or value
  end })
end

--- The effective configuration as config.lua, each value with its origin.
function config.print(values, origins)
  return "-- The effective configuration of Tidemark.\n" ..
    print_keys(without_passwords(values), function(key)
      return {}, (gsub(origins[key.name] or "default", "[%c]", " "))
    end, "", function() return {} end)
end

--- Lines of key, value as Lua and origin, with tabs between; what may change while the server runs
--- is as it is in `now`.
function config.list(values, origins, now, now_origins)
  local lines = {}
  local shown_values, shown_now = without_passwords(values), without_passwords(now)
  for i, key in ipairs(keys) do
    local value = source_of(key, (key.live and shown_now or shown_values)[key.name])
    local origin = (key.live and now_origins or origins)[key.name] or "default"
    lines[i] = format("%s\t%s\t%s\n", key.name, (gsub(value, "%c", " ")), (gsub(origin, "%c", " ")))
  end
  return concat(lines)
end

-- Text as comment lines of at most `width` characters.
local function wrap(text, width)
  local lines, line = {}, "--"
  for word in string.gmatch(text, "%S+") do
    if #line + 1 + #word > width then
      lines[#lines + 1] = line
      line = "--"
    end
    line = line .. " " .. word
  end
  lines[#lines + 1] = line
  return lines
end

--- What a key takes, in words: "duration, 1m to 1000y, or "forever"".
function config.describe(key)
  local text = key.type == "choice" and '"' .. concat(key.choices, '", "') .. '"' or key.type
  if key.min ~= nil then
    local function plain(value)
      return type(value) == "number" and format("%.14g", value) or value
    end
    text = text .. ", " .. plain(key.min) .. " to " .. plain(key.max)
  end
  return text .. (key.forever and ', or "forever"' or "")
end

--- The example config.lua: every key at its default, commented out.
function config.example()
  return table.concat({
    "-- Configuration of Tidemark: every key, at its default. Remove the dashes of what you",
    "-- change. `tidemark config --print` shows what is in force and where it came from; flags win",
    '-- over this file. Durations: "15d", "1h30m", "500ms". Sizes: "2GiB", "64KiB", or bytes.',
    "-- This is Lua without files, processes and modules: local variables and functions are fine.",
    print_keys(config.defaults(), function(key)
      local lines = wrap(key.text, 96)
      lines[#lines + 1] = "-- (" .. config.describe(key) .. ")"
      local lead = "-- Example: "
      for line in string.gmatch(key.example or "", "[^\n]+") do
        lines[#lines + 1], lead = lead .. line, "--   "
      end
      return lines
    end, "-- ", function(section) return wrap(section.text, 98) end),
  }, "\n")
end

local INTRODUCTION = [==[
# Configuration

`config.lua` is optional, and so is every key in it. It is a Lua chunk that returns a table:

```lua
local days = 400

return {
  listen = { "127.0.0.1:9201", "unix:./tidemark.sock" },
  storage = { retention = days .. "d" },
}
```

`tidemark serve --config config.lua` reads it; flags win over it. `tidemark config --print` prints
what is in force as a config.lua, with the origin of each value. The chunk has Lua's tables,
strings, functions and arithmetic, but no files, processes or modules, two seconds and 64 MiB.

A key that does not exist, a value of the wrong type or out of bounds refuses the start, with file
and line: `config.lua:12: storage.retention "15x": not a duration (try "15d" or "forever")`.

- A *duration* is a text of whole or decimal numbers with units, from large to small: `y` (365
  days), `w`, `d`, `h`, `m`, `s`, `ms`: `"15d"`, `"1h30m"`, `"1.5h"`.
- A *size* is a number of bytes or a text: `"2GiB"`, `"64KiB"`, `"10MB"`.
- A *path* is relative to the folder where the server was started.
- A *listener* is an address (`HOST:PORT`, `[IPv6]:PORT` or `unix:PATH`) or a table that says more:

  ```lua
  listen = {
    "127.0.0.1:9201",
    {
      address = "0.0.0.0:9443",
      tls = {
        certificate = "/etc/tidemark/server.pem", key = "/etc/tidemark/server.key",
        client_ca = "/etc/tidemark/agents.pem", -- clients must show a certificate of this CA
        client_certificate = "optional", -- or may, then; default: "required"
      },
      auth = "required", -- or "none"; default: required when there are users
      roles = { "push", "read" }, -- the most that anybody may do here; default: all
    },
  },
  ```

- A *user* is one credential: whose it is, what proves it, and what it may do. Roles are `push`,
  `read` and `admin`; none includes another. `tenant` is the user when it is left out.

  ```lua
  http = {
    users = {
      { user = "grafana", password = "$2y$10$...", roles = "read" }, -- a hash: tidemark password
      { user = "agent", token_file = "/etc/tidemark/agent.token", roles = { "push" },
        tenant = "web" },
      { user = "ops", token = "sha256:...", roles = { "push", "read", "admin" } },
    },
  },
  ```

- An *origin* is what a browser calls the place that a page is from: `https://grafana.example:3000`.

docs/security.md says more about the last three.

This page is made from `lua/tidemark/schema.lua` by `make docs`; so is the `config.lua` of the
source folder, which lists every key at its default.
]==]

--- docs/configuration.md: an introduction and all keys.
function config.document()
  local out, open = { INTRODUCTION }, false
  local defaults = config.defaults()
  for _, key in ipairs(keys) do
    local section = match(key.name, "^(.*)%.[^.]*$")
    if section ~= open then
      if open ~= false then out[#out + 1] = "" end
      out[#out + 1] = section and "## " .. section or "## The server"
      out[#out + 1] = ""
      if section then
        out[#out + 1] = sections[section].text
        out[#out + 1] = ""
      end
      out[#out + 1] = "| key | default | takes | |"
      out[#out + 1] = "| --- | --- | --- | --- |"
      open = section
    end
    out[#out + 1] = format("| `%s` | `%s` | %s | %s |", key.name,
      source_of(key, defaults[key.name]), config.describe(key), key.text)
  end
  return concat(out, "\n") .. "\n"
end

local MANUAL = [[
tidemark-config.lua(5)

# NAME

config.lua - the configuration of tidemark(1)

# DESCRIPTION

A Lua file that returns one table; every key may be missing. Durations are texts ("15d", "1h30m"),
sizes too ("2GiB") or numbers of bytes. An unknown key, a wrong type and a value out of bounds are
errors that name file and line. Flags of the command line win over the file.

*tidemark config --print* shows what is in force and where each value came from; *tidemark check*
says what is wrong.
]]

-- Text in scdoc's markup: what would be markup is escaped.
local function scdoc(text)
  return (gsub(gsub(text, "`", ""), "[\\_*#<~]", "\\%0"))
end

--- The manual page of config.lua, in scdoc's markup.
function config.manual()
  local out, open = { MANUAL }, false
  local defaults = config.defaults()
  for _, key in ipairs(keys) do
    local section = match(key.name, "^(.*)%.[^.]*$")
    if section ~= open then
      out[#out + 1] = "# " .. string.upper(section or "the server") .. "\n"
      if section then out[#out + 1] = scdoc(sections[section].text) .. "\n" end
      open = section
    end
    out[#out + 1] = format("*%s* (%s)\n\t%s Default: %s.\n", scdoc(key.name),
      scdoc(config.describe(key)), scdoc(gsub(key.text, "%s+", " ")),
      scdoc(source_of(key, defaults[key.name])))
  end
  out[#out + 1] = "# SEE ALSO\n\ntidemark(1)"
  return concat(out, "\n") .. "\n"
end

return config
