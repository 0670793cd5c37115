-- The pictures of README: `make pictures` (PICTURES=FOLDER).
local browser = require "spec.web.browser"
local engine = require "spec.unit.store.engine"
local process = require "spec.support.process"
local server = require "spec.support.server"
local C = require "spec.support.tide".load("base/logger.h", "chunk/chunk.h")

local PICTURES = os.getenv("PICTURES")
if not PICTURES then return end

local DAY, STEP = 86400000, 60000
local DAYS = 12
local RULES = [[
tide.retention("debug builds", { match = '{service="debug"}', keep = "2d" })
tide.retention("latency, two days", {
  match = '{__name__="shop_latency_seconds",service!="checkout"}', keep = "2d" })
tide.retention("requests, a week", { match = '{__name__="shop_requests_total"}', keep = "7d" })
]]
local SERVICES = { cart = 40, checkout = 22, search = 90, debug = 3 }

-- Shops are busy by day, and a little on the weekend.
local function load_at(ms, service)
  local day = math.sin((ms % DAY) / DAY * 2 * math.pi - 1.9)
  local week = math.floor(ms / DAY + 4) % 7 >= 5 and 0.6 or 1
  return SERVICES[service] * week * (1.25 + day + 0.08 * math.sin(ms / 9e5 + #service))
end

local totals = {} -- by series

local function fill(data, from, to, encoding)
  local store = assert(engine.open { data_dir = data, clock_ms = from, chunk_encoding = encoding })
  math.randomseed(7)
  for time = from, to - 1, DAY do
    local entries = {}
    for service in pairs(SERVICES) do
      for instance = 1, 3 do
        local count = { { __name__ = "shop_requests_total", service = service,
          instance = tostring(instance) } }
        local latency = { { __name__ = "shop_latency_seconds", service = service,
          instance = tostring(instance) } }
        local name = service .. instance
        for ms = time, time + DAY - 1, STEP do
          local load = load_at(ms, service) / 3
          totals[name] = (totals[name] or 0) + math.floor(load * 60)
          count[#count + 1] = { ms, totals[name] }
          -- Quiet by night, in coarse steps.
          local noise = load > SERVICES[service] / 3 and math.random() * 0.02 or 0
          latency[#latency + 1] = { ms, math.floor((0.02 + load / 900 + noise) * 1e4) / 1e4 }
        end
        entries[#entries + 1] = count
        entries[#entries + 1] = latency
      end
    end
    store:advance(DAY)
    store:push(entries)
    store:run "persist"
  end
  assert(store:close())
end

describe("pictures", browser.specs(function()
  it("are taken", function()
    C.logger_set_level(C.LOG_LEVEL_ERROR)
    local base = process.folder()
    local now = math.floor(os.time() * 1000 / STEP) * STEP
    local half = now - math.floor(DAYS / 2) * DAY
    fill(base .. "/data", now - DAYS * DAY, half, C.CHUNK_DOUBLE_DELTA)
    fill(base .. "/data", half, now, C.CHUNK_VARBIT)
    os.execute(("mkdir %s/scripts && cp scripts/alert_targets.lua %s/scripts"):format(base, base))
    local file = assert(io.open(base .. "/scripts/keep.lua", "w"))
    file:write(RULES)
    file:close()
    local one = server.start(base .. "/data", "--scripts", base .. "/scripts")
    one:request("POST", "/api/v1/import/prometheus", [[
# HELP shop_requests_total Requests answered.
# TYPE shop_requests_total counter
# HELP shop_latency_seconds Of the median.
# TYPE shop_latency_seconds gauge
up 1
]])
    browser.see("pictures", one.address, PICTURES)
    one:stop()
    process.remove(base)
  end)
end))
