-- Pushes, queries and background work at once; under the thread sanitizer in make check.
local engine = require "spec.unit.store.engine"

local build = os.getenv("BUILD") or "build"
local sanitizer = os.getenv("SANITIZER") or ""

-- What the program prints on a fresh folder.
local function race(program, arguments)
  local tool = build .. "/tools/" .. program
  assert(os.execute(("make -s SANITIZER='%s' %s"):format(sanitizer, tool)) == 0)
  local folder = engine.folder()
  local pipe = io.popen(("env -u LD_PRELOAD timeout 120 %s %s %s 2>&1"):format(tool, folder,
    arguments))
  local text = pipe:read("*a")
  pipe:close()
  engine.remove(folder)
  return text
end

describe("a store under threads", function()
  it("loses nothing, doubles nothing and shows nothing wrong", function()
    local text = race("store_threads", sanitizer == "" and 400 or 200)
    local good = "counted 1 read some archived some\nafter restart 1 wrong 0\n"
    assert.truthy(text:find(good, 1, true), text)
  end)

  it("brings back all that is deleted over and over while pushes go on", function()
    assert.equal("deleted many snapshots some missing 0 after restart 0 wrong 0\n",
      race("removal_threads", sanitizer == "" and 300 or 100))
  end)

  it("holds exactly what eight writers push out of order, late and twice", function()
    assert.equal("late many\nwrong 0\n", race("late_threads", sanitizer == "" and 8000 or 2000))
  end)

  it("keeps what only the archive knows when a series comes back during a checkpoint", function()
    assert.equal("archived 1 there 2\n", race("archive_race", "twice"))
    assert.equal("archived 1 there 1\n", race("archive_race", "found"))
  end)
end)
