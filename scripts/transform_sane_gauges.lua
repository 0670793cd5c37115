-- Gauges without noise: no NaN, no digits that nobody measured, no more samples than are looked at.

-- Sensors send 21.487265 every second; a tenth of a degree every ten seconds is what there is.
tide.transform("sensors", {
  match = '{__name__=~".+_celsius"}',
  drop_nan = true, clamp = { -90, 1000 }, round = 1, min_interval = "10s",
})

-- Ratios outside 0 to 1 are faults of measurement.
tide.transform("ratios", { match = '{__name__=~".+_ratio"}', clamp = { 0, 1 }, round = 4 })

-- Some exporters send percent and milliseconds; here are base units.
tide.transform("percent", { match = '{__name__=~".+_percent"}', scale = 0.01 })
tide.transform("milliseconds", { match = '{__name__=~".+_ms", job="legacy"}', scale = 0.001 })
