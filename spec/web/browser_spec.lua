-- The page in a real browser: what it draws of pushed data. Needs `make web`, node and Chromium.
-- PICTURES=FOLDER keeps screenshots there.
local json = require "cjson"
local process = require "spec.support.process"
local server = require "spec.support.server"

local function exists(path)
  local file = io.open(path)
  if file then file:close() end
  return file ~= nil
end

local function found(program)
  local pipe = io.popen("command -v " .. program)
  local path = pipe:read("*l")
  pipe:close()
  return path
end

local FROM = 1000000000
local HOSTILE = "<img src=x onerror=window.hostile=true>"

describe("the page in a browser", function()
  local chromium = found("chromium")
  local missing = not chromium and "Chromium" or not found("node") and "node" or
    not exists("web/node_modules/playwright-core/package.json") and "playwright-core (make web)" or
    not exists("web/dist/app.js.gz") and "the page (make web all)"
  if missing then
    print("SKIPPED, without " .. missing .. ": the page in a browser")
    it("needs " .. missing, function() pending(missing .. " is missing") end)
    return
  end

  local tidemark, folder, saw

  setup(function()
    folder = process.folder()
    local config = assert(io.open(folder .. "/config.lua", "w"))
    config:write('return { storage = { retention = "forever" } }\n')
    config:close()
    local scripts = folder .. "/scripts"
    os.execute(("mkdir %s && cp scripts/alert_targets.lua %s"):format(scripts, scripts))
    tidemark = server.start(folder .. "/data", "--config", folder .. "/config.lua", "--scripts",
      scripts)
    local lines = { "# HELP spec_temperature Of a room.", "# TYPE spec_temperature gauge" }
    for i = 0, 10 do
      local ms = (FROM + i * 60) * 1000
      lines[#lines + 1] = ('spec_temperature{room="hall"} %d %d'):format(20 + i, ms)
      lines[#lines + 1] = ('spec_hostile{room="%s"} %d %d'):format(HOSTILE, i, ms)
      lines[#lines + 1] = ("spec_gone 1 %d"):format(ms)
    end
    if os.getenv("PICTURES") then
      for i = 0, 360 do
        for host = 1, 5 do
          lines[#lines + 1] = ('demo_load{host="web-%d",zone="%s"} %.3f %d'):format(host,
            host % 2 == 0 and "north" or "south", host * 0.7 + 1.5 + math.sin(i / (20 + 9 * host)) +
            0.15 * math.sin(i * host * 1.7), (FROM + i * 60) * 1000)
        end
      end
    end
    assert.equal(204, tidemark:request("POST", "/api/v1/import/prometheus",
      table.concat(lines, "\n") .. "\n").status)
    assert.equal(204, tidemark:request("POST",
      "/api/v1/admin/tsdb/delete_series?match[]=spec_gone").status)
    local pipe = io.popen(("timeout 120 node spec/web/browser.mjs %s %s %s/profile %s 2>&1"):format(
      tidemark.address, chromium, folder, os.getenv("PICTURES") or ""))
    local text = pipe:read("*a")
    pipe:close()
    local ok, told = pcall(json.decode, text:match("[^\n]*\n?$"))
    if not ok then error("the browser: " .. text) end
    saw = told
  end)
  teardown(function()
    tidemark:stop()
    process.remove(folder)
  end)

  it("draws the points that were pushed, of each query of a link", function()
    assert.equal(2, #saw.points)
    assert.equal(11, #saw.points[1])
    for i = 0, 10 do
      assert.same({ FROM + i * 60, 20 + i }, saw.points[1][i + 1])
      assert.same({ FROM + i * 60, 2 * (20 + i) }, saw.points[2][i + 1])
    end
    assert.same({ 'spec_temperature{room="hall"}', '{room="hall"}' }, saw.legend)
    assert.same({ FROM, FROM + 600 }, saw.range)
  end)

  it("stacks, and a link restores that", function()
    assert.same({ FROM, 60 }, saw.stacked[2][1])
    assert.same(saw.stacked, saw.reopened)
  end)

  it("writes times of the reader's zone, and reads links of Prometheus as UTC", function()
    assert.equal("2001-09-09 10:56:40", saw.end_input) -- in Tokyo
    assert.same({ FROM, FROM + 600 }, saw.utc)
  end)

  it("lists alerts and the rules of scripts", function()
    table.sort(saw.alerts)
    assert.same({ "DiskFull", "TargetDown" }, saw.alerts)
    assert.same({ "TargetDown", "DiskFull" }, saw.scripts)
  end)

  it("kills a query", function()
    assert.truthy(saw.killed:find("killed", 1, true), saw.killed)
  end)

  it("zooms to what is dragged over", function()
    local low, high = saw.zoomed[1], saw.zoomed[2]
    assert.truthy(math.abs(low - (FROM + 200)) < 10, low)
    assert.truthy(math.abs(high - (FROM + 400)) < 10, high)
  end)

  it("completes names of metrics", function()
    local all = table.concat(saw.completions, " ")
    assert.truthy(all:find("spec_temperature", 1, true), all)
  end)

  it("shows HTML in a label as text", function()
    assert.same({ ('spec_hostile{room="%s"}'):format(HOSTILE) }, saw.hostile_legend)
    assert.equal(saw.hostile_legend[1], saw.hostile_table[1])
    assert.equal("10", saw.hostile_table[2])
    assert.equal(0, saw.images)
    assert.is_false(saw.hostile_ran)
  end)

  it("says what is wrong with a query", function()
    assert.truthy(saw.error:find("expected type range vector", 1, true), saw.error)
  end)

  it("lists metrics with type and help, and undeletes from the trash", function()
    local all = table.concat(saw.metrics, "\n")
    assert.truthy(all:find("spec_temperaturegaugeOf a room.", 1, true), all)
    assert.equal(0, saw.operate_errors)
    assert.equal(200, tidemark:request("GET", "/api/v1/query?query=spec_gone&time=" .. FROM).status)
    assert.truthy(tidemark:request("GET", "/api/v1/query?query=spec_gone&time=" .. FROM).body
      :find('"value"', 1, true))
  end)

  it("asks no other host, and breaks no policy", function()
    assert.same({}, saw.foreign)
    for _, text in ipairs(saw.errors) do
      -- What the browser says of the wrong query and the killed one.
      assert.truthy(text:find("400 (Bad Request)", 1, true) or text:find("status of 499", 1, true),
        text)
    end
  end)
end)
