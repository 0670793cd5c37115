-- Links among the pages of the manual lead somewhere: to a file, and to a heading in it.
local lfs = require "lfs"

local read = require("spec.support.file").read

-- Without what stands in fences.
local function prose(text)
  local lines, fenced = {}, false
  for line in (text .. "\n"):gmatch("(.-)\n") do
    if line:find("^%s*```") then
      fenced = not fenced
    elseif not fenced then
      lines[#lines + 1] = line
    end
  end
  return table.concat(lines, "\n")
end

local function anchors(path)
  local found = {}
  for heading in ("\n" .. prose(read(path))):gmatch("\n#+ ([^\n]*)") do
    found[heading:lower():gsub("[^%w%s_-]", ""):gsub("%s", "-")] = true
  end
  return found
end

local function pages()
  local list = { "README.md", "scripts/README.md" }
  for _, folder in ipairs { "docs", "docs/reference", "docs/examples" } do
    for name in lfs.dir(folder) do
      if name:find("%.md$") then list[#list + 1] = folder .. "/" .. name end
    end
  end
  return list
end

describe("the manual", function()
  it("has links that lead somewhere", function()
    local broken, count = {}, 0
    for _, path in ipairs(pages()) do
      local folder = path:match("^(.*)/") or "."
      for target in prose(read(path)):gmatch("%]%(([^)%s]+)%)") do
        if not target:find("^%a+://") then
          local file, anchor = target:match("^([^#]*)#?(.*)$")
          local to = file == "" and path or folder .. "/" .. file
          local there = lfs.attributes(to, "mode")
          count = count + 1
          if not there or (anchor ~= "" and not anchors(to)[anchor]) then
            broken[#broken + 1] = path .. ": " .. target
          end
        end
      end
    end
    assert.same({}, broken)
    assert.is_true(count > 40)
  end)

  it("has every page of docs on README's map", function()
    local map = read("README.md")
    for name in lfs.dir("docs") do
      if name:find("%.md$") then
        assert.truthy(map:find("(docs/" .. name .. ")", 1, true), name .. " is not on the map")
      end
    end
  end)
end)
