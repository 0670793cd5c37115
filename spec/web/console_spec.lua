-- The page's console in a real browser.
local browser = require "spec.web.browser"
local process = require "spec.support.process"
local server = require "spec.support.server"

describe("the console of the page", browser.specs(function()
  local tidemark, saw
  setup(function()
    tidemark = server.start()
    assert.equal(204, tidemark:request("POST", "/api/v1/import/prometheus",
      ('spec_hostile{room="%s"} 1\n'):format(browser.HOSTILE)).status)
    saw = browser.see("console", tidemark.address)
  end)
  teardown(function()
    tidemark:stop()
    process.remove(tidemark.folder)
  end)

  it("runs a line: what it prints and its values", function()
    assert.equal("line", saw.first[1][1])
    assert.same({ "printed", "a\t1" }, saw.first[2])
    assert.same({ "answer", "42\n" .. browser.HOSTILE }, saw.first[3])
    assert.same({ { "failure", "no" } }, { saw.third[2] })
    assert.truthy(saw.third[4][2]:find(browser.HOSTILE, 1, true))
  end)

  it("asks for the rest of a line that is not whole", function()
    assert.equal("for i = 1, 2 do\n", saw.wanted)
    assert.same({ { "line", "> for i = 1, 2 do\n  print(i) end" }, { "printed", "1" },
      { "printed", "2" } }, saw.second)
  end)

  it("remembers: globals, older lines; and completes", function()
    assert.same({ "answer", "42" }, saw.kept)
    assert.equal('tide.query "spec_hostile"', saw.older)
  end)

  it("stops a line that goes on", function()
    assert.is_true(saw.stop_enabled)
    assert.same({ "note", "stopped" }, saw.stopped)
    assert.is_true(saw.lines <= 2000)
  end)

  it("ends its session with the page, and shows HTML as text", function()
    browser.is_clean(saw)
    process.wait_for("the end of the session", 20, function()
      return tidemark:request("GET", "/metrics").body:find("\ntidemark_http_consoles 0\n", 1, true)
    end)
  end)
end))
