-- How the page looks in a real browser: contrast of texts in light and dark, small screens, and
-- what a first graph of 100,000 points costs (told, not judged: machines differ).
local browser = require "spec.web.browser"
local process = require "spec.support.process"
local server = require "spec.support.server"

local FROM = 1000000000

describe("the looks of the page", browser.specs(function()
  local tidemark, folder, saw

  setup(function()
    folder = process.folder()
    tidemark = server.start(folder, "--retention", "forever")
    local lines = {}
    for i = 0, 250 do -- 400 series, more than 100,000 points
      for host = 1, 400 do
        lines[#lines + 1] = ('spec_load{host="web-%d"} %.3f %d'):format(host,
          host + math.sin(i / (20 + host)), (FROM * 1000 + i * 2400))
      end
    end
    assert.equal(204, tidemark:request("POST", "/api/v1/import/prometheus",
      table.concat(lines, "\n") .. "\n").status)
    saw = browser.see("looks", tidemark.address)
  end)
  teardown(function()
    tidemark:stop()
    process.remove(folder)
  end)

  it("can be read in light and dark", function()
    assert.not_equal(saw.grounds.light, saw.grounds.dark)
    assert.not_equal(saw.axis_light, saw.axis_dark)
    for view, found in pairs(saw.contrasts) do
      assert.truthy(next(found), view)
      for name, ratio in pairs(found) do
        assert.truthy(ratio >= 4.5, ("%s: %s has a contrast of %.2f"):format(view, name, ratio))
      end
    end
  end)

  it("fit on screens of every width", function()
    for view, over in pairs(saw.overflow) do assert.equal(0, math.max(0, over), view) end
    assert.is_true(saw.chart_360[1] > 250 and saw.chart_360[1] <= 360)
    assert.is_true(saw.chart_1200[1] > 1000)
  end)

  it("are drawn by a browser that has other work, too", function()
    assert.is_true(saw.many >= 100000, saw.many)
    print(("a first graph of %d points: %.2f s of the browser's main thread, %.2f s of scripts"):
      format(saw.many, saw.cpu.tasks, saw.cpu.scripts))
    assert.is_true(saw.cpu.tasks > 0)
  end)

  it("ask no other host, and break no policy", function()
    browser.is_clean(saw, "400 (Bad Request)")
  end)
end))
