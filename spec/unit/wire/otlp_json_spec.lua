-- OTLP metrics in JSON: the same translation as of protobuf (otlp_spec), so here is what the text
-- form adds: keys, types, and what is no such request.
local tide = require "spec.support.tide"
local push = require "spec.support.push"
local C = tide.load("wire/otlp_json.h")

local function decode(body) return push.decode(body, C.otlp_json_decode) end

local function metrics(text, resource)
  return ('{"resourceMetrics":[{"resource":%s,"scopeMetrics":[{"scope":{"name":"x"},' ..
    '"metrics":[%s]}]}]}'):format(resource or "{}", text)
end

local function series(got) return push.values_at(got, 1700) end

local TIME = '"timeUnixNano":"1700000000"'

describe("OTLP in JSON", function()
  -- The example of the protocol's own repository (examples/metrics.json), with times of here.
  it("has the protocol's example", function()
    local resource = '{"attributes":[{"key":"service.name","value":{"stringValue":"my.service"}}]}'
    assert.same({
      '{__name__="my_counter_total", job="my.service", my_counter_attr="some value"} = 5',
      '{__name__="my_gauge", job="my.service", my_gauge_attr="some value"} = 10',
      '{__name__="my_histogram_bucket", job="my.service", le="1", my_histogram_attr="v"} = 1',
      '{__name__="my_histogram_bucket", job="my.service", le="+Inf", my_histogram_attr="v"} = 2',
      '{__name__="my_histogram_count", job="my.service", my_histogram_attr="v"} = 2',
      '{__name__="my_histogram_sum", job="my.service", my_histogram_attr="v"} = 2',
    }, series(decode(metrics([[
      {"name":"my.counter","unit":"1","description":"I am a Counter","sum":{
        "aggregationTemporality":2,"isMonotonic":true,"dataPoints":[{"asDouble":5,
        "startTimeUnixNano":"1544712660300000000",]] .. TIME .. [[,"attributes":[
          {"key":"my.counter.attr","value":{"stringValue":"some value"}}]}]}},
      {"name":"my.gauge","unit":"","gauge":{"dataPoints":[{"asDouble":10,]] .. TIME .. [[,
        "attributes":[{"key":"my.gauge.attr","value":{"stringValue":"some value"}}]}]}},
      {"name":"my.histogram","unit":"","histogram":{"aggregationTemporality":2,"dataPoints":[
        {]] .. TIME .. [[,"count":2,"sum":2,"bucketCounts":[1,1],"explicitBounds":[1],"min":0,
        "max":2,"attributes":[{"key":"my.histogram.attr","value":{"stringValue":"v"}}]}]}}]],
      resource))))
  end)

  it("has values of each type, integers as strings and as numbers", function()
    local attributes = [["attributes":[{"key":"t","value":{"stringValue":"x"}},
      {"key":"b","value":{"boolValue":true}},{"key":"i","value":{"intValue":"-42"}},
      {"key":"j","value":{"intValue":7}},{"key":"d","value":{"doubleValue":1.5}},
      {"key":"l","value":{"arrayValue":{"values":[]}}}] ]]
    local function point(rest) return ("{%s,%s}"):format(TIME, rest) end
    assert.same({
      '{__name__="g", b="true", d="1.5", i="-42", j="7", t="x"} = 1',
      '{__name__="g"} = -9007199254740', '{__name__="g"} = 3', '{__name__="g"} = inf',
      '{__name__="g"} = -inf',
    }, series(decode(metrics(('{"name":"g","gauge":{"dataPoints":[%s]}}'):format(table.concat({
      point('"asDouble":1,' .. attributes), point '"asInt":"-9007199254740"',
      point '"asInt":3', point '"asDouble":"Infinity"', point '"asDouble":"-Infinity"',
    }, ","))))))
    local got = decode(metrics('{"name":"g","gauge":{"dataPoints":[{"timeUnixNano":1700000000,' ..
      '"asDouble":"NaN"}, {' .. TIME .. ',"flags":1}]}}'))
    assert.equal(1700, got.series[1][1][1])
    assert.not_equal(got.series[1][1][2], got.series[1][1][2])
    assert.equal("7ff0000000000002", got.series[2][1].bits)
  end)

  it("has summaries, exponential histograms and exemplars", function()
    local got = decode(metrics('{"name":"s","summary":{"dataPoints":[{' .. TIME ..
      ',"count":"3","sum":4,"quantileValues":[{"quantile":0.99,"value":2}]}]}},' ..
      '{"name":"e","exponentialHistogram":{"dataPoints":[{"scale":1},{}]}},' ..
      '{"name":"x","gauge":{"dataPoints":[{' .. TIME .. ',"asInt":1,"exemplars":[{}, {}]}]}}'))
    assert.same({ '{__name__="s", quantile="0.99"} = 2', '{__name__="s_sum"} = 4',
      '{__name__="s_count"} = 3', '{__name__="x"} = 1' }, series(got))
    assert.equal(2, got.skipped.histograms)
    assert.equal(2, got.skipped.exemplars)
  end)

  it("skips null and keys that it does not know, and takes single messages for lists", function()
    assert.same({ '{__name__="a"} = 1' }, series(decode([[{"more":[{}],"resourceMetrics":{
      "resource":null,"schemaUrl":"x","scopeMetrics":{"metrics":[{"name":"a","sum":null,
      "gauge":{"dataPoints":{"asDouble":1,]] .. TIME .. "}}}]}}}")))
    assert.same({}, series(decode "{}"))
    assert.same({}, series(decode '{"resourceMetrics":[]}'))
  end)

  for body, why in pairs {
    [""] = "not a JSON object", ["[]"] = "not a JSON object", ["{"] = "not a JSON object",
    [("["):rep(5000)] = "not a JSON object",
    [metrics '{"name":5}'] = '"name" is not a string',
    [metrics '"x"'] = '"metrics" is not an object',
    [metrics '{"gauge":{"dataPoints":[{"asDouble":"1x"}]}}'] = '"asDouble" is not a number',
    [metrics '{"gauge":{"dataPoints":[{"asInt":1.5}]}}'] = '"asInt" is not a 64-bit integer',
    [metrics '{"gauge":{"dataPoints":[{"asInt":"18446744073709551616"}]}}'] =
      '"asInt" is not a 64-bit integer',
    [metrics '{"gauge":{"dataPoints":[{"timeUnixNano":"-"}]}}'] =
      '"timeUnixNano" is not a 64-bit integer',
    [metrics '{"gauge":{"dataPoints":[{"flags":{}}]}}'] = '"flags" is not an integer',
    [metrics '{"sum":{"isMonotonic":1}}'] = '"isMonotonic" is not true or false',
    [metrics '{"histogram":{"dataPoints":[{"explicitBounds":[1,null]}]}}'] =
      '"explicitBounds" is not a number',
  } do
    it("refuses " .. body:sub(1, 20) .. ": " .. why, function()
      assert.equal("not an OTLP metrics request: " .. why, decode(body).error)
    end)
  end

  it("refuses more values than it may hold", function()
    local got = decode('{"x":[' .. ("0,"):rep(2 ^ 21) .. "0]}")
    assert.equal("more than 2097152 values in one request", got.error)
  end)
end)
