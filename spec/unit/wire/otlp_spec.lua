-- OTLP metrics: the translation that the protocol document describes, point kind by point kind.
local ffi = require "ffi"
local tide = require "spec.support.tide"
local push = require "spec.support.push"
local C = tide.load("wire/otlp.h", "wire/otlp_name.h", "base/buf.h")

local function varint(n)
  local out = ""
  while n >= 128 do out, n = out .. string.char(n % 128 + 128), math.floor(n / 128) end
  return out .. string.char(n)
end
local function tag(number, kind) return varint(number * 8 + kind) end
local function bytes(number, text) return tag(number, 2) .. varint(#text) .. text end
local function number(field, n) return tag(field, 0) .. varint(n) end
local function fixed(field, n) -- a whole number below 2^53
  local out = ""
  for _ = 1, 8 do out, n = out .. string.char(n % 256), math.floor(n / 256) end
  return tag(field, 1) .. out
end
local function double(value) return tide.unhex(tide.bits(value)):reverse() end
local function attribute(field, key, value)
  return bytes(field, bytes(1, key) .. bytes(2, bytes(1, value)))
end

local TIME = fixed(3, 1700000000) -- in ns: 1700 ms
local function point(value, rest) return TIME .. tag(4, 1) .. double(value) .. (rest or "") end
local function metric(name, unit, kind, data)
  return bytes(1, name) .. bytes(3, unit) .. bytes(kind, data)
end
local function request(resource, ...)
  local metrics = ""
  for _, one in ipairs { ... } do metrics = metrics .. bytes(2, one) end
  return bytes(1, bytes(2, metrics) .. bytes(1, resource))
end

local function decode(body) return push.decode(body, C.otlp_decode) end
local function series(got) return push.values_at(got, 1700) end

describe("OTLP", function()
  it("has gauges with attributes of each kind", function()
    local attributes = attribute(7, "a.b", "x") ..
      bytes(7, bytes(1, "bool") .. bytes(2, number(2, 1))) ..
      bytes(7, bytes(1, "int") .. bytes(2, number(3, 42))) ..
      bytes(7, bytes(1, "double") .. bytes(2, tag(4, 1) .. double(1.5))) ..
      bytes(7, bytes(1, "list") .. bytes(2, bytes(5, ""))) .. attribute(7, "1st", "y")
    assert.same({
      '{__name__="room_temperature_celsius", a_b="x", bool="true", double="1.5", int="42", ' ..
        'key_1st="y"} = 21.5',
    }, series(decode(request("", metric("room.temperature", "Cel", 5,
      bytes(1, point(21.5, attributes)))))))
  end)

  it("has integers, and metadata", function()
    local got = decode(request("", bytes(2, "How many.") ..
      metric("jobs", "", 7, number(2, 2) .. number(3, 1) .. bytes(1, TIME .. fixed(6, 7)))))
    assert.same({ '{__name__="jobs_total"} = 7' }, series(got))
    assert.same({ { name = "jobs_total", type = "counter", help = "How many.", unit = "" } },
      got.metadata)
  end)

  it("has job, instance and target_info of the resource", function()
    local resource = attribute(1, "service.namespace", "shop") ..
      attribute(1, "service.name", "cart") .. attribute(1, "service.instance.id", "i-1") ..
      attribute(1, "host.name", "h")
    assert.same({
      '{__name__="up", instance="i-1", job="shop/cart"} = 1',
      '{__name__="target_info", host_name="h", instance="i-1", job="shop/cart"} = 1',
    }, series(decode(request(resource, metric("up", "", 5, bytes(1, point(1)))))))
  end)

  it("has histograms as classic buckets", function()
    local data = number(2, 2) .. bytes(1, TIME .. fixed(4, 6) .. tag(5, 1) .. double(9.5) ..
      bytes(6, ("\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0")) ..
      bytes(7, double(0.5) .. double(10)) .. attribute(9, "p", "/"))
    assert.same({
      '{__name__="latency_seconds_bucket", le="0.5", p="/"} = 1',
      '{__name__="latency_seconds_bucket", le="10", p="/"} = 3',
      '{__name__="latency_seconds_bucket", le="+Inf", p="/"} = 6',
      '{__name__="latency_seconds_count", p="/"} = 6',
      '{__name__="latency_seconds_sum", p="/"} = 9.5',
    }, series(decode(request("", metric("latency", "s", 9, data)))))
  end)

  it("has summaries", function()
    local data = bytes(1, TIME .. fixed(4, 3) .. tag(5, 1) .. double(4) ..
      bytes(6, tag(1, 1) .. double(0.99) .. tag(2, 1) .. double(2)))
    assert.same({ '{__name__="s", quantile="0.99"} = 2', '{__name__="s_sum"} = 4',
      '{__name__="s_count"} = 3' }, series(decode(request("", metric("s", "", 11, data)))))
  end)

  it("has staleness markers where a point says that it has no value", function()
    local got = decode(request("", metric("a", "", 5, bytes(1, TIME .. number(8, 1)))))
    assert.equal("7ff0000000000002", got.series[1][1].bits)
  end)

  it("refuses delta temporality and broken points, and keeps the others", function()
    local got = decode(request("",
      metric("d", "", 7, number(2, 1) .. bytes(1, point(1)) .. bytes(1, point(2))),
      metric("b", "", 5, bytes(1, "\33\0") .. bytes(1, point(3))),
      metric("h", "", 9, bytes(1, TIME .. bytes(6, ("\0"):rep(8)) .. bytes(7, double(1))))))
    assert.same({ '{__name__="b"} = 3' }, series(got))
    assert.equal(4, got.refused)
    assert.equal('metric "d": delta temporality: set the exporter\'s preference to cumulative',
      got.examples[1].text)
    assert.equal('metric "b": a data point that is broken protobuf', got.examples[3].text)
    assert.equal('metric "h": a histogram whose counts do not fit its bounds', got.examples[4].text)
  end)

  it("counts exponential histograms, exemplars and points without a value", function()
    local got = decode(request("", metric("e", "", 10, bytes(1, "") .. bytes(1, "")),
      metric("x", "", 5, bytes(1, point(1, bytes(5, ""))) .. bytes(1, TIME))))
    assert.equal(1, #got.series)
    assert.same({ 2, 1, 1 }, { got.skipped.histograms, got.skipped.exemplars, got.skipped.empty })
  end)

  it("takes an empty request, and refuses what is none", function()
    assert.is_nil(decode("").error)
    assert.equal("not an OTLP metrics request: broken protobuf", decode("\10\127").error)
    assert.equal("not an OTLP metrics request: broken protobuf",
      decode(request("", metric("a", "", 5, bytes(1, point(1)))):sub(1, -2)).error)
  end)

  it("names metrics as Prometheus does", function()
    for expected, case in pairs {
      system_filesystem_usage_bytes = { "system.filesystem.usage", "By", true, false },
      system_cpu_time_seconds_total = { "system.cpu.time", "s", false, true },
      hw_gpu_memory_utilization_ratio = { "hw.gpu.memory.utilization", "1", true, false },
      requests_total = { "total.requests.total", "1", false, true },
      broken_metric_speed_km_per_hour = { "broken.metric.speed", "km/h", true, false },
      system_network_errors_total = { "system.network.errors", "{errors}", false, true },
      envoy_rule_engine = { "envoy__rule_engine", "", true, false },
      memory_bytes_used = { "memory.bytes.used", "By", true, false },
      io_bytes_per_second = { "io", "By/s", true, false },
      _3d_render_milliseconds = { "3d.render", "ms", true, false },
      [":a:b"] = { ":a:b", "", true, false },
    } do
      local out = ffi.new("struct buf")
      C.otlp_put_metric_name(out, case[1], #case[1], case[2], #case[2], case[3], case[4])
      assert.equal(expected, ffi.string(out.data, out.len))
      C.buf_destroy(out)
    end
  end)
end)
