-- help(): texts out of the documents themselves. Commands from console_help.lua, functions of tide
-- from docs/lua-api.md, keys of the configuration from schema.lua.
--
-- So what a console says is what the pages say.

local config = require "tidemark.config"
local console_help = require "tidemark.console_help"

local find, format, gmatch, gsub, sub = string.find, string.format, string.gmatch, string.gsub,
  string.sub

local help = {}

-- The section of a heading in docs/lua-api.md, without it; nil: there is none.
local function section(heading)
  local text = native.document("docs/lua-api.md")
  if not text then return nil end
  local from, to = find(text, "\n### " .. heading .. "\n", 1, true)
  if not from then return nil end
  local stop = find(text, "\n##", to, true) or #text
  return sub(text, to + 1, stop)
end

-- "push", "tide.push", "tide.store.stats": the section that tells of it.
local function api(name)
  name = sub(name, 1, 5) == "tide." and name or "tide." .. name
  return section(name) or (find(name, "%.[^.]*%.") and section((gsub(name, "%.[^.]*$", "")))) or nil
end

local function key(name)
  local one = config.keys[name]
  return one and format("%s: %s\n(%s)", name, one.text, config.describe(one))
end

--- All commands, and those of the scripts: { [name] = text }.
function help.overview(commands)
  local lines = { "An expression shows its value; names that are set stay until the session ends.",
    "" }
  for _, line in ipairs(console_help.lines()) do lines[#lines + 1] = line end
  lines[#lines + 1] = ""
  lines[#lines + 1] =
    'All that scripts can do is in tide (help "tide.push"). Commands of the scripts:'
  local names = {}
  for name in pairs(commands) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    lines[#lines + 1] = "  commands." .. name .. "(...)   " .. commands[name]
  end
  if #names == 0 then lines[#lines + 1] = "  none" end
  return table.concat(lines, "\n") .. "\n"
end

--- The names of all functions of tide that the document explains.
function help.api_names()
  local names = {}
  for name in gmatch(native.document("docs/lua-api.md") or "", "\n### (tide%.[%w_]+)\n") do
    names[#names + 1] = name
  end
  return names
end

--- What is said of a name; nil: nothing.
function help.of(name, commands)
  if commands[name] then return "commands." .. name .. "(...): " .. commands[name] .. "\n" end
  local text = console_help.command(name) or key(name)
  return text and text .. "\n" or api(name)
end

return help
