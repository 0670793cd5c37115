-- Graphs in a real browser: what is drawn of pushed data, and each control.
local browser = require "spec.web.browser"
local process = require "spec.support.process"
local server = require "spec.support.server"

local FROM = 1000000000

describe("graphs in a browser", browser.specs(function()
  local tidemark, folder, saw

  setup(function()
    folder = process.folder()
    tidemark = server.start(folder, "--retention", "forever")
    local lines = {}
    for i = 0, 10 do
      local ms = (FROM + i * 60) * 1000
      lines[#lines + 1] = ('spec_temperature{room="hall"} %d %d'):format(20 + i, ms)
      lines[#lines + 1] = ('spec_hostile{room="%s"} %d %d'):format(browser.HOSTILE, i, ms)
      lines[#lines + 1] = ("spec_signed %d %d"):format(10 ^ math.floor(i / 2) * (i - 2), ms)
      if i < 3 then lines[#lines + 1] = ("spec_live %d %d"):format(i, ms) end
    end
    assert.equal(204, tidemark:request("POST", "/api/v1/import/prometheus",
      table.concat(lines, "\n") .. "\n").status)
    saw = browser.see("graph", tidemark.address)
  end)
  teardown(function()
    tidemark:stop()
    process.remove(folder)
  end)

  local function at(i, value) return { FROM + i * 60, value } end

  it("draw the points that were pushed, of each query of a link", function()
    assert.equal(2, #saw.points)
    assert.equal(11, #saw.points[1])
    for i = 0, 10 do
      assert.same(at(i, 20 + i), saw.points[1][i + 1])
      assert.same(at(i, 2 * (20 + i)), saw.points[2][i + 1])
    end
    assert.same({ 'spec_temperature{room="hall"}', '{room="hall"}' }, saw.legend)
    assert.same({ FROM, FROM + 600 }, saw.range)
  end)

  it("stack, and a link restores that", function()
    for i = 0, 10 do
      assert.same(at(i, 20 + i), saw.stacked[1][i + 1])
      assert.same(at(i, 3 * (20 + i)), saw.stacked[2][i + 1])
    end
    assert.same(saw.stacked, saw.reopened)
  end)

  it("have a legend that lifts a line and shows it alone", function()
    assert.is_true(saw.alphas[1] < 0.5 and saw.alphas[2] == 1)
    assert.same({ false, true }, saw.alone)
    assert.same({ true, true }, saw.together)
  end)

  it("take queries and let them go", function()
    assert.same({ '{room="hall"}', '{room="hall"}' }, saw.left)
  end)

  it("zoom to what is dragged over, go back, and widen", function()
    local low, high = saw.zoomed[1], saw.zoomed[2]
    assert.truthy(math.abs(low - (FROM + 200)) < 10, low)
    assert.truthy(math.abs(high - (FROM + 400)) < 10, high)
    assert.same({ FROM, FROM + 600 }, saw.back)
    assert.equal(900, saw.widened[2] - saw.widened[1])
  end)

  it("obey range, end and step, absolute and relative", function()
    assert.same({ at(0, 20), at(2, 22), at(4, 24), at(6, 26), at(8, 28), at(10, 30) },
      saw.by_step[1])
    assert.equal(2, (saw.by_range[2] - saw.by_range[1]) / 180) -- whole steps of two minutes
    assert.truthy(saw.earlier[2] < saw.by_range[2])
    assert.truthy(math.abs(saw.relative + 3600) < 60, saw.relative)
    assert.truthy(math.abs(saw.now) < 60, saw.now)
  end)

  it("have a logarithmic scale, with gaps where it knows nothing", function()
    local expected = {}
    for i = 3, 10 do expected[#expected + 1] = at(i, 10 ^ math.floor(i / 2) * (i - 2)) end
    assert.same(expected, saw.log[1])
  end)

  it("refresh by themselves", function()
    assert.equal(204, saw.pushed)
    local before = {}
    for i = 0, 4 do before[#before + 1] = at(i, math.min(i, 2)) end -- and the lookback
    assert.same(before[3], saw.before[1][3])
    local seen
    for _, point in ipairs(saw.after[1]) do seen = seen or point[2] == 7 and point[1] end
    assert.equal(FROM + 300, seen)
  end)

  it("write times of the reader's zone, and read links of Prometheus as UTC", function()
    assert.equal("2001-09-09 10:56:40", saw.end_input) -- in Tokyo
    assert.same({ FROM, FROM + 600 }, saw.utc)
  end)

  it("complete names of metrics, and need no mouse", function()
    local all = table.concat(saw.completions, " ")
    assert.truthy(all:find("spec_temperature", 1, true), all)
    assert.equal("last_over_time(spec_temperature[10m:1m])", saw.typed)
    local tabbed = table.concat(saw.tabbed, " ")
    for _, control in ipairs { "Run", "Add query", "range", "end of the range", "Now",
      "step between points", "Table", "Stacked", "Log", "live refresh" } do
      assert.truthy(tabbed:find(control, 1, true), control .. " in: " .. tabbed)
    end
  end)

  it("show HTML in a label as text", function()
    assert.same({ ('spec_hostile{room="%s"}'):format(browser.HOSTILE) }, saw.hostile_legend)
    assert.equal(saw.hostile_legend[1], saw.hostile_table[1])
    assert.equal("10", saw.hostile_table[2])
  end)

  it("say what is wrong", function()
    assert.truthy(saw.error:find("expected type range vector", 1, true), saw.error)
    assert.equal('range "soon": not a duration (try "1h")', saw.range_error)
  end)

  it("ask no other host, and break no policy", function()
    browser.is_clean(saw, "400 (Bad Request)")
  end)
end))
