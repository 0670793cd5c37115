-- scripts/rename_labels.lua on a real server: the job is killed in the middle, twice, and all that
-- was stored is there under the new name in the end, once; rates go on across.
local json = require "cjson"
local process = require "spec.support.process"
local file_of = require "spec.support.file"
local server = require "spec.support.server"

local SAMPLES = 800 -- of each series

local folder, scripts, one

local function start() one = server.start(folder, "--scripts", scripts) end

local function get(path)
  local answer = one:request("GET", path)
  assert.equal(200, answer.status, answer.body)
  return answer.body
end

local function count(selector)
  local total = 0
  for line in get("/api/v1/export?match[]=" .. server.escape(selector)):gmatch("[^\n]+") do
    total = total + #json.decode(line).values
  end
  return total
end

local function value(query)
  local result = json.decode(get("/api/v1/query?query=" .. server.escape(query))).data.result
  return result[1] and tonumber(result[1].value[2])
end

local function push(lines)
  local answer = one:request("POST", "/api/v1/import/prometheus", table.concat(lines))
  assert.equal(204, answer.status, answer.body)
end

describe("scripts/rename_labels", function()
  before_each(function()
    folder, scripts = process.folder(), process.folder()
  end)
  after_each(function()
    if one then one.process:kill() end
    process.remove(folder)
    process.remove(scripts)
  end)

  it("moves all that is stored, once, however often it is killed", function()
    start()
    local now = os.time()
    local function at(i) return now - 60 - (SAMPLES - i) * 15 end
    local lines = {}
    local function put(i, name)
      for _, host in ipairs { "web-1", 'we"b\\2' } do
        local text = host:gsub('[\\"]', "\\%0")
        lines[#lines + 1] = ('requests_total{%s="%s"} %d %d000\n'):format(name, text, i * 3, at(i))
        lines[#lines + 1] = ('celsius{%s="%s",room="a"} %d %d000\n'):format(name, text, i % 7,
          at(i))
      end
    end
    for i = 1, SAMPLES do put(i, "host") end
    lines[#lines + 1] = ('up{host="x",instance="y"} 1 %d000\n'):format(now)
    push(lines)
    local before = get("/api/v1/export?match[]=" .. server.escape '{host!="",instance=""}')

    local text = file_of.read("scripts/rename_labels.lua"):gsub("AT_ONCE = 40000", "AT_ONCE = 800")
      :gsub("WINDOW = 6 %* 3600", "WINDOW = 1500")
    local file = assert(io.open(scripts .. "/a.lua", "w"))
    file:write(text)
    file:close()
    assert.equal(200, one:request("POST", "/-/reload").status)
    -- What comes now has the new name at once; the job goes on behind it.
    lines = {}
    for i = SAMPLES + 1, SAMPLES + 4 do put(i, "host") end
    push(lines)
    assert.equal(16, count '{instance!="",host=""}')

    local all = 4 * SAMPLES
    process.wait_for("a part to have moved", 20, function()
      local moved = count '{instance!="",host=""}' - 16
      return moved > 0 and moved < all
    end)
    one.process:kill()
    start()
    assert.equal(all, count '{host!="",instance=""}' )
    process.wait_for("one value to have moved", 30, function()
      return count '{host!="",instance=""}' == all / 2
    end)
    one.process:kill()
    start()
    process.wait_for("the end", 30, function()
      return count '{host!="",instance=""}' == 0
    end)

    -- The same lines under the other name, and what came since.
    local after = get("/api/v1/export?match[]=" .. server.escape '{instance!="",host=""}' ..
      "&end=" .. at(SAMPLES))
    assert.equal((before:gsub('"host":', '"instance":')), after)
    assert.equal(all + 16, count '{instance!="",host=""}')
    assert.equal(1, count '{host="x",instance="y"}')
    -- A rate over the seam, of 3 a quarter of a minute.
    local rate = value(('rate(requests_total{instance="web-1"}[5m] @ %d)'):format(at(SAMPLES + 2)))
    assert.is_true(math.abs(rate - 0.2) < 1e-9, tostring(rate))
    assert.equal(4, value "count({instance!='',host=''})")

    local undone = json.decode(get "/api/v1/status/scripts").data.rules
    for _, rule in ipairs(undone) do assert.equal(0, rule.errors, rule.last_error) end
    assert.equal(0, one:stop())
  end)
end)
