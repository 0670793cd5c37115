-- What is stored, seen in a real browser: metrics, labels, series, and chunks on a time line. What
-- the files hold is read by the format's rules in Lua.
local browser = require "spec.web.browser"
local engine = require "spec.unit.store.engine"
local layout = require "spec.support.layout"
local process = require "spec.support.process"
local server = require "spec.support.server"
local C = require "spec.support.tide".load("base/logger.h")

local HOUR = 3600000
local STEPS = 2400 -- of 15 s: ten hours

describe("what is stored, in a browser", browser.specs(function()
  local base, tidemark, saw
  local now = math.floor(os.time() / 15) * 15000
  local from = now - 10 * HOUR
  local live = { __name__ = "spec_load", host = "live" }
  local idle = { __name__ = "spec_load", host = "idle" }

  setup(function()
    C.logger_set_level(C.LOG_LEVEL_ERROR)
    base = process.folder()
    local store = assert(engine.open { data_dir = base .. "/data", clock_ms = from })
    local entries = { { live }, { idle } }
    for n = 0, STEPS - 1 do
      table.insert(entries[1], { from + n * 15000, n * n % 977 + 0.5 })
      if n < 240 then table.insert(entries[2], { from + n * 15000, n }) end
    end
    store:advance(HOUR)
    assert.equal(240, (store:push { entries[2] }))
    store:advance(2 * HOUR)
    store:run "maintain" -- closes the head of the idle one
    store:run "persist"
    store:run "maintain" -- archives it
    store:advance(7 * HOUR)
    assert.equal(STEPS, (store:push { entries[1] }))
    store:run "persist"
    assert.is_true(store:close())
    tidemark = server.start(base .. "/data")
    assert.equal(204, tidemark:request("POST", "/api/v1/import/prometheus", table.concat {
      "# HELP spec_temperature Of a room.\n# TYPE spec_temperature gauge\nspec_temperature 20\n",
      'spec_hostile{room="', browser.HOSTILE, '"} 1\n' }).status)
    saw = browser.see("explore", tidemark.address)
  end)
  teardown(function()
    tidemark:stop()
    process.remove(base)
  end)

  it("is listed: metrics with type and help, labels with values, the most frequent", function()
    local all = table.concat(saw.metrics, "\n")
    assert.truthy(all:find("spec_temperaturegaugeOf a room.", 1, true), all)
    assert.same({ "spec_loadseries" }, saw.filtered)
    assert.same({ "idle", "live" }, saw.values)
    all = table.concat(saw.cardinality, "\n")
    assert.truthy(all:find("spec_load2", 1, true), all)
  end)

  it("has series of a selector, which a link restores, each with its graph", function()
    table.sort(saw.series)
    assert.same({ 'spec_load{host="idle"}', 'spec_load{host="live"}' }, saw.series)
    table.sort(saw.series_again)
    assert.same(saw.series, saw.series_again)
    assert.truthy(saw.graphed:find('^spec_load{host="'), saw.graphed)
  end)

  it("draws each chunk where it is, as high as its bytes for a sample", function()
    local stored = layout.file_chunks(layout.file_of(base .. "/data", (function()
      return layout.fingerprint { { "__name__", "spec_load" }, { "host", "live" } }
    end)()))
    assert.is_true(#stored >= 3)
    assert.is_true(#saw.chunks >= #stored)
    local samples, high = 0, 0
    local scale = 920 / ((STEPS - 1) * 15000)
    for _, chunk in ipairs(saw.chunks) do high = math.max(high, chunk.bytes / chunk.samples) end
    for i, chunk in ipairs(saw.chunks) do
      samples = samples + chunk.samples
      assert.equal("varbit", chunk.encoding)
      assert.truthy(math.abs(chunk.height - 110 * chunk.bytes / chunk.samples / high) < 0.1)
      assert.truthy(chunk.title:find("per sample", 1, true))
      if stored[i] then
        assert.truthy(math.abs(chunk.x - (70 + (tonumber(stored[i].first) - from) * scale)) < 0.1)
        assert.truthy(math.abs(chunk.x + chunk.width -
          (70 + (tonumber(stored[i].last) - from) * scale)) < 1)
      end
    end
    assert.equal(STEPS, samples)
    assert.equal("head", saw.chunks[#saw.chunks].place)
    assert.is_true(saw.lanes >= #saw.chunks)
    assert.equal(#saw.chunks, saw.rows)
    assert.equal(STEPS, tonumber((saw.facts[2]:gsub(",", ""))))
    assert.equal("no", saw.facts[7])
  end)

  it("leads from chunks to a graph of all of them", function()
    assert.truthy(math.abs(saw.axis[2] - (from / 1000 + (STEPS - 1) * 15)) < 300)
    assert.truthy(math.abs(saw.axis[1] - from / 1000) < 300)
    assert.is_true(#saw.drawn[1] > 200)
  end)

  it("tells archived series", function()
    assert.same({ "240", "yes" }, { saw.archived[2], saw.archived[7] })
  end)

  it("shows HTML in labels as text, and says what is wrong", function()
    assert.equal(('spec_hostile{room="%s"}'):format(browser.HOSTILE), saw.hostile)
    assert.truthy(#saw.wrong > 0)
    assert.equal("no series matches", saw.nothing)
    browser.is_clean(saw, "400 (Bad Request)")
  end)
end))
