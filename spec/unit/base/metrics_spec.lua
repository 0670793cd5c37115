-- The registry's text, as a scraper reads it.
local ffi = require "ffi"
local tide = require "spec.support.tide"
local C = tide.load("base/metrics.h", "base/buf.h")

local function text_of(metrics)
  local buf = ffi.new("struct buf")
  C.metrics_write(metrics, buf)
  local text = ffi.string(buf.data, buf.len)
  C.buf_destroy(buf)
  return text
end

describe("metrics", function()
  it("prints families in order of name with all their kinds", function()
    local metrics = C.metrics_new()
    local gauge = C.metrics_gauge(metrics, "b_gauge", "A gauge.", "")
    C.metrics_counter(metrics, "c_total", "A counter.", 'reason="x"').value = 41
    C.metrics_counter(metrics, "c_total", "A counter.", 'reason="y"')
    C.gauge_set(gauge, 1.5)
    C.gauge_add(gauge, 2)
    local bounds = ffi.new("double[2]", { 1, 2.5 })
    local histogram = C.metrics_histogram(metrics, "a_seconds", "A histogram.", "", bounds, 2)
    for _, value in ipairs { 0.5, 1, 2, 9 } do C.histogram_observe(histogram, value) end
    local plain = C.metrics_summary(metrics, "d_seconds", "A summary.", "", false)
    C.summary_observe(plain, 2)
    assert.equal([[
# HELP a_seconds A histogram.
# TYPE a_seconds histogram
a_seconds_bucket{le="1"} 2
a_seconds_bucket{le="2.5"} 3
a_seconds_bucket{le="+Inf"} 4
a_seconds_sum 12.5
a_seconds_count 4
# HELP b_gauge A gauge.
# TYPE b_gauge gauge
b_gauge 3.5
# HELP c_total A counter.
# TYPE c_total counter
c_total{reason="x"} 41
c_total{reason="y"} 0
# HELP d_seconds A summary.
# TYPE d_seconds summary
d_seconds_sum 2
d_seconds_count 1
]], text_of(metrics))
    C.metrics_free(metrics)
  end)

  it("computes quantiles over the recent observations", function()
    local metrics = C.metrics_new()
    local summary = C.metrics_summary(metrics, "s", "S.", "", true)
    assert.matches('s{quantile="0.5"} NaN', text_of(metrics))
    for i = 1, 100 do C.summary_observe(summary, i) end
    local text = text_of(metrics)
    assert.matches('s{quantile="0.5"} 50\n', text)
    assert.matches('s{quantile="0.9"} 90\n', text)
    assert.matches('s{quantile="0.99"} 99\n', text)
    C.metrics_free(metrics)
  end)
end)
