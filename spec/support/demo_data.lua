-- Data in the shape of the compliance tester's demo service: three instances, jittered scrape times
-- that never fall on the query grid (ranges of Prometheus 2.x are closed on both sides), counters
-- with resets, gauges, a histogram. Always the same for the same seed.
local demo = {}

-- A small generator of our own, so that runs can be repeated.
local function generator(seed)
  local state = seed
  return function()
    state = (state * 16807) % 2147483647
    return state / 2147483647
  end
end

local bounds = { "0.0001", "0.001", "0.01", "0.1", "1", "10", "+Inf" }

-- Series (remote_write.lua's form) from start_ms, `count` scrapes at about `interval_ms`.
function demo.series(start_ms, count, interval_ms, seed)
  local random = generator(seed or 42)
  local all = {}

  local function series(name, instance, labels)
    local one = { labels = { __name__ = name, instance = "demo.promlabs.com:" .. instance,
      job = "demo" } }
    for key, value in pairs(labels or {}) do one.labels[key] = value end
    all[#all + 1] = one
    return one
  end

  for _, instance in ipairs { "10000", "10001", "10002" } do
    local times, at = {}, start_ms + 137 + math.floor(random() * 900)
    for i = 1, count do
      times[i] = at + math.floor(random() * 40) * 2 + 1 -- never a whole second
      if times[i] % 1000 == 0 then times[i] = times[i] + 1 end
      at = at + interval_ms
    end
    local function fill(one, make)
      for i = 1, count do one[i] = { times[i], make(i) } end
    end
    for _, kind in ipairs { "free", "used", "cached", "buffers" } do
      local base = 1e8 + random() * 1e9
      fill(series("demo_memory_usage_bytes", instance, { type = kind }), function()
        return math.floor(base + (random() - 0.5) * 1e8)
      end)
    end
    for _, mode in ipairs { "idle", "system", "user" } do
      local total = random() * 1000
      fill(series("demo_cpu_usage_seconds_total", instance, { mode = mode }), function()
        if random() < 0.01 then total = 0 end
        total = total + random() * 10
        return total
      end)
    end
    local used = 1e10 * random()
    fill(series("demo_disk_usage_bytes", instance), function()
      used = used + random() * 1e6
      return math.floor(used)
    end)
    fill(series("demo_num_cpus", instance), function() return 4 end)
    local last
    fill(series("demo_batch_last_success_timestamp_seconds", instance), function(i)
      if not last or random() < 0.05 then last = times[i] / 1000 - random() * 10 end
      return last
    end)
    for _, path in ipairs { "/api/foo", "/api/bar" } do
      local counts = {}
      for i = 1, #bounds do counts[i] = 0 end
      local buckets = {}
      for i, le in ipairs(bounds) do
        buckets[i] = series("demo_api_request_duration_seconds_bucket", instance,
          { path = path, method = "GET", status = "200", le = le })
      end
      for i = 1, count do
        for b = math.ceil(random() * #bounds), #bounds do
          counts[b] = counts[b] + math.ceil(random() * 5)
        end
        for b = 2, #bounds do counts[b] = math.max(counts[b], counts[b - 1]) end
        for b, bucket in ipairs(buckets) do bucket[i] = { times[i], counts[b] } end
      end
    end
  end
  return all
end

return demo
