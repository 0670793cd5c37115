-- Rules asked by threads while they are reloaded (under the thread sanitizer in make check).

local build = os.getenv("BUILD") or "build"

describe("rules", function()
  it("answer by one version or another, never by a mixture, while they are reloaded", function()
    assert(os.execute("make -s " .. build .. "/tools/rules_threads") == 0)
    local pipe = io.popen("env -u LD_PRELOAD timeout 120 " .. build ..
      "/tools/rules_threads 4 60 2>&1; echo status $?")
    local text = pipe:read("*a")
    pipe:close()
    assert.is_truthy(text:find("versions 41 wrong 0 stopped yes\nstatus 0", 1, true), text)
  end)
end)
