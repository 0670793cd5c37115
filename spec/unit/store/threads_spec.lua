-- Pushes, queries and background work at once; under the thread sanitizer in make check.
local engine = require "spec.unit.store.engine"

local build = os.getenv("BUILD") or "build"
local sanitizer = os.getenv("SANITIZER") or ""

describe("a store under threads", function()
  it("loses nothing, doubles nothing and shows nothing wrong", function()
    assert(os.execute(("make -s SANITIZER='%s' %s/tools/store_threads"):format(sanitizer, build)) ==
      0)
    local folder = engine.folder()
    local pipe = io.popen(("env -u LD_PRELOAD timeout 120 %s/tools/store_threads %s %d 2>&1"):format(
      build, folder, sanitizer == "" and 400 or 200))
    local text = pipe:read("*a")
    pipe:close()
    engine.remove(folder)
    assert.truthy(text:find("counted 1 read some archived some\nafter restart 1 wrong 0\n", 1, true),
      text)
  end)
end)
