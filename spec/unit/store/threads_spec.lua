-- Pushes, queries and background work at once; under the thread sanitizer in make check.
local engine = require "spec.unit.store.engine"

local build = os.getenv("BUILD") or "build"
local sanitizer = os.getenv("SANITIZER") or ""

describe("a store under threads", function()
  it("loses nothing, doubles nothing and shows nothing wrong", function()
    local tool = build .. "/tools/store_threads"
    assert(os.execute(("make -s SANITIZER='%s' %s"):format(sanitizer, tool)) == 0)
    local folder = engine.folder()
    local pipe = io.popen(("env -u LD_PRELOAD timeout 120 %s %s %d 2>&1"):format(tool, folder,
      sanitizer == "" and 400 or 200))
    local text = pipe:read("*a")
    pipe:close()
    engine.remove(folder)
    local good = "counted 1 read some archived some\nafter restart 1 wrong 0\n"
    assert.truthy(text:find(good, 1, true), text)
  end)
end)
