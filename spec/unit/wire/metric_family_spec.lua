-- The client model in protobuf, delimited: what each type becomes, and what is refused.
local protobuf = require "spec.support.protobuf"
local push = require "spec.support.push"
local tide = require "spec.support.tide"
local C = tide.load("wire/metric_family.h")

local bytes, number, double = protobuf.bytes, protobuf.number, protobuf.double

-- Messages shorter than 128 bytes have a length of one byte, others here of two.
local function delimited(message)
  local n = #message
  local len = n < 128 and string.char(n) or string.char(n % 128 + 128, math.floor(n / 128))
  return len .. message
end
local function family(name, kind, ...)
  local out = bytes(1, name) .. bytes(2, "Help of " .. name) .. number(3, kind)
  for _, metric in ipairs { ... } do out = out .. bytes(4, metric) end
  return delimited(out)
end
local function label(name, value) return bytes(1, bytes(1, name) .. bytes(2, value)) end
local function decode(body) return push.decode(body, C.metric_family_decode) end

-- "labels = value @ time" of all series.
local function series(got)
  local out = {}
  assert.is_nil(got.error)
  for i, one in ipairs(got.series) do
    out[i] = ("%s = %s @ %d"):format(one.labels or one.problem, tostring(one[1][2]), one[1][1])
  end
  return out
end

local NOW = push.now_ms

describe("the client model", function()
  it("has counters, gauges and untyped values, with times and labels", function()
    local got = decode(
      family("visits_total", 0, label("path", "/") .. bytes(3, double(1, 4) .. bytes(2, ""))) ..
      family("heat", 1, bytes(2, double(1, -1.5)) .. number(6, 1234)) ..
      family("any", 3, bytes(5, double(1, 2)), bytes(5, "")))
    assert.same({
      '{__name__="visits_total", path="/"} = 4 @ ' .. NOW, '{__name__="heat"} = -1.5 @ 1234',
      '{__name__="any"} = 2 @ ' .. NOW, '{__name__="any"} = 0 @ ' .. NOW,
    }, series(got))
    assert.equal(1, got.skipped.exemplars)
    assert.same({ name = "visits_total", type = "counter", help = "Help of visits_total" },
      got.metadata[1])
    assert.same({ "counter", "gauge", "unknown" },
      { got.metadata[1].type, got.metadata[2].type, got.metadata[3].type })
  end)

  it("has histograms with a last bucket, and summaries", function()
    assert.same({
      '{__name__="t_bucket", a="b", le="0.5"} = 1 @ ' .. NOW,
      '{__name__="t_bucket", a="b", le="1e+06"} = 3 @ ' .. NOW,
      '{__name__="t_bucket", a="b", le="+Inf"} = 4 @ ' .. NOW,
      '{__name__="t_sum", a="b"} = 7.5 @ ' .. NOW, '{__name__="t_count", a="b"} = 4 @ ' .. NOW,
      '{__name__="s", quantile="0.99"} = 8 @ ' .. NOW,
      '{__name__="s_sum"} = 9 @ ' .. NOW, '{__name__="s_count"} = 2 @ ' .. NOW,
    }, series(decode(
      family("t", 4, bytes(7, number(1, 4) .. double(2, 7.5) ..
        bytes(3, number(1, 1) .. double(2, 0.5)) .. bytes(3, number(1, 3) .. double(2, 1e6))) ..
        label("a", "b")) ..
      family("s", 2, bytes(4, number(1, 2) .. double(2, 9) ..
        bytes(3, double(1, 0.99) .. double(2, 8)))))))
    -- One that has the last bucket itself, of floats, as a gauge histogram.
    assert.same({
      '{__name__="g_bucket", le="+Inf"} = 1.5 @ ' .. NOW, '{__name__="g_gsum"} = 0 @ ' .. NOW,
      '{__name__="g_gcount"} = 1.5 @ ' .. NOW,
    }, series(decode(family("g", 5, bytes(7, double(4, 1.5) ..
      bytes(3, double(4, 1.5) .. double(2, 1 / 0)))))))
  end)

  it("counts native histograms", function()
    local got = decode(family("n", 4, bytes(7, number(1, 4) .. double(2, 1) .. number(5, 6))))
    assert.same({}, series(got))
    assert.equal(1, got.skipped.histograms)
  end)

  it("refuses a broken metric alone, and a broken body as a whole", function()
    local got = decode(family("a", 1, bytes(2, "\9"), bytes(2, double(1, 1))))
    assert.same({ '{__name__="a"} = 1 @ ' .. NOW }, series(got))
    assert.equal(1, got.refused)
    assert.truthy(got.examples[1].text:find('family "a"', 1, true))
    assert.truthy(decode("\5ab").error:find("family 1 of the body is cut off"))
    assert.truthy(decode(family("a", 1) .. "\1\255").error:find("family 2 .* broken"))
    assert.same({}, series(decode("")))
    assert.truthy(decode(family("a", 1, label("x", "1") .. label("x", "2") ..
      bytes(2, double(1, 1)))).series[1].problem:find("twice"))
  end)
end)
