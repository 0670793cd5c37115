-- The floor rule: a file includes only from its own room or from floors below. The floors are read
-- from docs/architecture.md, so that page and code cannot drift apart.
local function floors_of_the_plan()
  local floors, floor = { main = 7 }, nil
  local inside = false
  for line in io.lines("docs/architecture.md") do
    if line:match("^    floor  room") then inside = true end
    if inside and line == "" then break end
    floor = tonumber(line:match("^    (%d)")) or floor
    local room = line:match("^    [%d ]%s+core/(%w+)/")
    if inside and room then floors[room] = floor end
  end
  return floors
end

-- Every #include "room/file.h" of every file below core/.
local function includes()
  local list = {}
  local pipe = io.popen("grep -rn '^#include \"' core")
  for line in pipe:lines() do
    local file, number, target = line:match('^(core/[^:]+):(%d+):#include "([^"]+)"')
    list[#list + 1] = { file = file, line = number, target = target }
  end
  pipe:close()
  return list
end

local function room_of(path) return path:match("^core/(%w+)/") or "main" end

describe("floors", function()
  local floors = floors_of_the_plan()

  it("are read from the plan", function()
    assert.equal(0, floors.base)
    assert.equal(1, floors.chunk)
    assert.equal(3, floors.store)
    assert.equal(4, floors.promql)
    assert.equal(6, floors.http)
  end)

  it("are never left upward or sideways by an include", function()
    local wrong = {}
    local all = includes()
    assert.is_true(#all > 50)
    for _, include in ipairs(all) do
      local from, to = room_of(include.file), include.target:match("^(%w+)/")
      if to and from ~= to then
        if not floors[from] or not floors[to] or floors[to] >= floors[from] then
          wrong[#wrong + 1] = ("%s:%s includes %s"):format(include.file, include.line,
            include.target)
        end
      end
    end
    assert.equal("", table.concat(wrong, "\n"))
  end)

  it("let only script and console include lua.h", function()
    local pipe = io.popen("grep -rlE 'lua\\.h|lauxlib\\.h|luajit\\.h' core")
    for file in pipe:lines() do
      local room = room_of(file)
      assert.is_true(room == "script" or room == "console", file)
    end
    pipe:close()
  end)
end)
