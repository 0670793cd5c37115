-- A page that is opened while the server recovers, on a slow disk: it shows how far that is, and
-- then what was asked for.
local browser = require "spec.web.browser"
local engine = require "spec.unit.store.engine"
local fixtures = require "spec.support.fixtures"
local process = require "spec.support.process"

describe("the page of a server that starts", browser.specs(function()
  it("shows the progress, then the graph, and when the server is away", function()
    local path, folder = fixtures.unpack("crashed")
    local address = "127.0.0.1:" .. process.free_port()
    local start = ("SLOW_START='%s/tools/slow_start %s 15000 %s'"):format(
      os.getenv("BUILD") or "build", path, address)
    local saw = browser.see("recovery", address, "", start)
    engine.remove(folder)

    local last, rising = -1, 0
    for _, state in ipairs(saw.states) do
      assert.equal("The server is starting", state.title)
      if state.known and state.max == 256 then
        assert.is_true(state.value >= last and state.value <= 256)
        if state.value > last then rising = rising + 1 end
        last = state.value
        assert.truthy(state.what:find("looks at every series file", 1, true), state.what)
        assert.truthy(state.what:find(state.value .. " of 256 folders", 1, true), state.what)
      end
    end
    assert.is_true(rising >= 2, "steps seen: " .. rising)
    assert.same({ "{}" }, saw.drawn)
    assert.equal(200, saw.ready)
    assert.equal(0, saw.ended)
    assert.truthy(saw.away:find("does not answer", 1, true), saw.away)
    browser.is_clean(saw, "503 (Service Unavailable)", "ERR_CONNECTION_REFUSED")
  end)
end))
