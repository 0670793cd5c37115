-- The operator's view in a real browser, of a store whose clock is doubted, with something in
-- quarantine and in the trash.
local browser = require "spec.web.browser"
local engine = require "spec.unit.store.engine"
local json = require "cjson"
local layout = require "spec.support.layout"
local process = require "spec.support.process"
local server = require "spec.support.server"
local C = require "spec.support.tide".load("base/logger.h")

local HOUR = 3600000
local RULES = [[
tide.retention("lab", { match = '{team="lab"}', keep = "2d" })
]]

describe("operating in a browser", browser.specs(function()
  local base, tidemark, saw
  local start = os.time() * 1000 - 40 * 24 * HOUR

  local function write(name, text)
    local file = assert(io.open(base .. "/" .. name, "wb"))
    file:write(text)
    file:close()
  end

  -- Ten hours of long ago, complete chunks in files, as a crash leaves it; one file is no more
  -- what it was.
  local function fill(data)
    local store = assert(engine.open { data_dir = data, clock_ms = start })
    local entries = {}
    for i, labels in ipairs { { team = "lab" }, { team = "web", room = browser.HOSTILE },
      { team = "web" }, { team = "gone" } } do
      labels.__name__ = "spec_load"
      entries[i] = { labels }
      for n = 0, 2399 do
        table.insert(entries[i], { start + n * 15000, n * n % 977 + 0.5 })
      end
    end
    store:advance(10 * HOUR)
    assert.equal(4 * 2400, (store:push(entries)))
    store:run "persist"
    assert.is_true(store:close())
    local path = layout.file_of(data, layout.fingerprint {
      { "__name__", "spec_load" }, { "team", "gone" } })
    local bytes = layout.slurp(path)
    local file = assert(io.open(path, "wb"))
    file:write(bytes:sub(1, 17), ("\1"):rep(1024))
    file:close()
    assert(io.open(data .. "/DIRTY", "w")):close()
  end

  setup(function()
    C.logger_set_level(C.LOG_LEVEL_ERROR)
    base = process.folder()
    os.execute(("mkdir %s/scripts && cp scripts/alert_targets.lua %s/scripts"):format(base, base))
    write("scripts/keep.lua", RULES)
    write("config.lua", 'return { storage = { retention = "15d" } }\n')
    fill(base .. "/data")
    tidemark = server.start(base .. "/data", "--config", base .. "/config.lua", "--scripts",
      base .. "/scripts", "--set", "retention.hold_least=0", "--set", "retention.hold_share=0")
    assert.equal(204, tidemark:request("POST",
      "/api/v1/admin/tsdb/delete_series?match[]=spec_load{room=\"\",team=\"web\"}").status)
    saw = browser.see("operate", tidemark.address)
  end)
  teardown(function()
    tidemark:stop()
    process.remove(base)
  end)

  it("shows the state of the server", function()
    assert.equal("serving", saw.status.state)
    assert.equal("15d", saw.status.retention)
    assert.truthy(tonumber(saw.status["series in memory"]))
    assert.truthy(saw.status["memory of the store"]:find("iB$"))
    assert.is_true(tonumber(saw.status["damage found at the start"]) >= 1)
  end)

  it("says that deletions are held back, until somebody confirms the clock", function()
    assert.truthy(saw.held:find("Nothing is deleted by age", 1, true), saw.held)
    local clock = json.decode(tidemark:request("GET", "/api/v1/admin/tsdb/confirm").body).data
    assert.is_false(clock.held)
  end)

  it("shows a held pass, which goes on when its button is pressed", function()
    local chunks, all, series = saw.held_pass:match(
      "would drop ([%d,]+) of ([%d,]+) chunks %(.*iB%) of (%d+) series")
    assert.truthy(chunks, saw.held_pass)
    -- All of two series, 40 days old; what was just undeleted is not dropped again so soon.
    assert.equal("2", series)
    assert.equal(3 * tonumber(chunks), 2 * tonumber(all))
    assert.same({ "retention", "2" }, { saw.dropped[2], saw.dropped[4] })
  end)

  it("plans the next pass: a row and a bar for each rule", function()
    local rows = {}
    for _, row in ipairs(saw.plan) do rows[row[1]] = row end
    assert.same({ "1", "1" }, { rows.lab[2], rows.lab[3] })
    local function bytes(row) return tonumber((row[7]:gsub(",", ""))) end
    assert.is_true(bytes(rows.lab) > 1041 and bytes(rows.lab) % 1041 == 0)
    assert.equal(tonumber(rows.lab[5]) * 1041, bytes(rows.lab))

    local total = 0
    assert.is_true(#saw.bars >= 2)
    for i, bar in ipairs(saw.bars) do
      assert.equal(bytes(rows[bar.name]), bar.bytes)
      assert.truthy(math.abs(bar.part - bar.bytes / saw.bars[1].bytes) < 0.02, bar.part)
      assert.is_true(i == 1 or bar.bytes <= saw.bars[i - 1].bytes)
      total = total + bar.bytes
    end
    assert.truthy(saw.summary["would drop"]:find(("%.3g"):format(total / 1024), 1, true))
    local all = table.concat(saw.examples, "\n")
    assert.truthy(all:find('spec_load{team="lab"}', 1, true), all)
    assert.truthy(all:find(browser.HOSTILE, 1, true), all)
  end)

  it("lists what scripts did, and reloads them", function()
    local rows = {}
    for _, row in ipairs(saw.scripts) do rows[row[1]] = row end
    assert.same({ "retention", "keep.lua:1" }, { rows.lab[2], rows.lab[3] })
    assert.equal("alert_targets.lua:4", rows.TargetDown[3])
    assert.equal("0", rows.lab[7])
    assert.truthy(saw.loaded:find("version 1", 1, true), saw.loaded)
    table.sort(saw.alerts)
    assert.same({ "DiskFull", "TargetDown" }, saw.alerts)
  end)

  it("lists what is in quarantine, and undeletes from the trash", function()
    assert.truthy(saw.quarantine[1]:find("%.db$"))
    assert.equal("1,041", saw.quarantine[2])
    assert.equal('spec_load{team="gone"}', saw.quarantine[4])
    assert.is_true(#saw.quarantine[5] > 0)
    assert.same({ "delete", "127.0.0.1", "1", "2,400" },
      { saw.trash[2], saw.trash[3], saw.trash[4], saw.trash[5] }) -- and then it was empty
  end)

  it("kills a query", function()
    assert.truthy(saw.killed:find("killed", 1, true), saw.killed)
    assert.equal(0, saw.error_count)
  end)

  it("obeys no page of another origin, and is in no frame", function()
    assert.same({ 403, 403, 403, 403 }, saw.forged)
    assert.equal("refused", saw.framed)
    assert.is_nil(tostring(saw.frame_text):find("Tidemark", 1, true))
  end)

  it("shows HTML in labels as text", function()
    browser.is_clean(saw, "status of 499", "status of 40")
  end)
end))
