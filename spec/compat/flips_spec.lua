-- One byte flipped anywhere in a data folder: it opens, what is not hit is there, and verify says
-- what it can see. Storage version 1 has no checksums over values (behaviour 25, item 6): those
-- flips are counted apart. LONG=1: a thousand flips; SEED= repeats a run.
local process = require "spec.support.process"

local build = os.getenv("BUILD") or "build"
local count = tonumber(os.getenv("FLIPS") or (os.getenv("LONG") == "1" and 1000 or 24))
local seed = tonumber(os.getenv("SEED") or os.time())

local FIXTURES = { "archived", "mixed-encodings", "clean-varbit", "collisions" }

local function run(command)
  local pipe = io.popen("{ " .. command .. "; } 2>/dev/null; echo \"status=$?\"")
  local text = pipe:read("*a")
  pipe:close()
  local output, status = text:match("^(.*)status=(%d+)\n$")
  return output, tonumber(status)
end

local function kind_of(name)
  if name:find("^%x%x/") then return "series file" end
  if name:find("/") then return "index" end
  return name
end

-- Lines of a dump as a set: one line a series.
local function dump(folder)
  local output, status = run(build .. "/tidemark dump --data " .. folder)
  local set, lines = {}, 0
  for line in output:gmatch("[^\n]+") do set[line], lines = true, lines + 1 end
  return set, status, lines
end

describe("a flipped byte", function()
  local work, whole = nil, {}

  setup(function()
    work = process.folder()
    for _, name in ipairs(FIXTURES) do
      os.execute(("mkdir -p %s/%s && tar -xzf spec/data/prom1x/%s.tar.gz -C %s/%s"):format(work,
        name, name, work, name))
      local root = run("dirname $(find " .. work .. "/" .. name .. " -name VERSION)"):gsub("\n", "")
      local files = {}
      for line in run("cd " .. root .. " && find . -type f -size +0 -printf '%P %s\\n'")
        :gmatch("[^\n]+") do
        local path, size = line:match("^(.*) (%d+)$")
        if not path:find("LOG") and not path:find("LOCK") then
          files[#files + 1] = { path = path, size = tonumber(size) }
        end
      end
      local set, status, lines = dump(root)
      assert.equal(0, status)
      assert.is_true(lines > 10)
      whole[#whole + 1] = { name = name, root = root, files = files, set = set, lines = lines }
    end
  end)
  teardown(function() process.remove(work) end)

  -- Flips a bit of one byte in a copy of the fixture.
  local function flip(fixture)
    local folder = work .. "/flipped"
    run("rm -rf " .. folder .. " && cp -rp " .. fixture.root .. " " .. folder)
    local kinds = {}
    for _, file in ipairs(fixture.files) do
      local kind = kind_of(file.path)
      kinds[kind] = kinds[kind] or {}
      table.insert(kinds[kind], file)
    end
    local names = {}
    for kind in pairs(kinds) do names[#names + 1] = kind end
    table.sort(names)
    local kind = names[math.random(#names)]
    local file = kinds[kind][math.random(#kinds[kind])]
    local at = math.random(0, file.size - 1)
    local handle = assert(io.open(folder .. "/" .. file.path, "r+b"))
    handle:seek("set", at)
    local byte = handle:read(1):byte()
    handle:seek("set", at)
    local bit = 2 ^ math.random(0, 7)
    handle:write(string.char(math.floor(byte / bit) % 2 == 1 and byte - bit or byte + bit))
    handle:close()
    return folder, kind, file.path .. " at " .. at
  end

  it("costs at most what it hits, wherever it is", function()
    math.randomseed(seed)
    local tally = {}
    for i = 1, count do
      local fixture = whole[i % #whole + 1]
      local folder, kind, where = flip(fixture)
      local about = fixture.name .. ": " .. where .. " (SEED=" .. seed .. ", flip " .. i .. ")"
      local _, seen = run(build .. "/tidemark verify --data " .. folder)
      assert.is_true(seen == 0 or seen == 1, "verify ended with " .. seen .. ": " .. about)
      local set, status = dump(folder)
      local row = tally[kind] or { flips = 0, seen = 0, refused = 0, harmless = 0, unseen = 0 }
      tally[kind] = row
      row.flips = row.flips + 1
      if seen == 1 then row.seen = row.seen + 1 end
      if status ~= 0 then
        assert.is_true(kind == "VERSION" or kind == "mappings.db", "refused: " .. about)
        assert.equal(1, status, about)
        assert.equal(1, seen, about)
        row.refused = row.refused + 1
      else
        local changed = 0
        for line in pairs(fixture.set) do if not set[line] then changed = changed + 1 end end
        -- Each flip lies within one file: of one series, or of one record of a table.
        local limit = kind == "heads.db" and 2 or 1
        if kind == "series file" or kind == "heads.db" then
          assert.is_true(changed <= limit, changed .. " series changed: " .. about)
        end
        if changed == 0 then
          row.harmless = row.harmless + 1
        elseif seen == 0 then
          row.unseen = row.unseen + 1
        end
      end
    end
    local lines = {}
    for kind, row in pairs(tally) do
      lines[#lines + 1] = ("%-12s %4d flips, %4d seen by verify, %3d refused, %4d without " ..
        "effect, %3d changed a series unseen"):format(kind, row.flips, row.seen, row.refused,
        row.harmless, row.unseen)
    end
    table.sort(lines)
    if count > 100 then print("\n" .. table.concat(lines, "\n")) end
  end)
end)
