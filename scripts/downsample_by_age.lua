-- Old samples one for each five minutes: counters so that their increases stay the same, gauges by
-- their mean. What is younger than a month is as it was pushed.

local AFTER = "30d"
local EVERY = "5m" -- no longer than query.lookback, or instant queries on old data find nothing

tide.downsample("old counters", {
  match = '{__name__=~".+_(total|count|sum|bucket)"}',
  after = AFTER,
  every = EVERY,
  using = "counter",
})

-- Of these the last value counts, not a mean.
tide.downsample("old states", {
  match = '{__name__=~"up|.+_info|.+_(timestamp|time|created)(_seconds)?"}',
  after = AFTER,
  every = EVERY,
  using = "last",
})

tide.downsample("old gauges", { after = AFTER, every = EVERY, using = "avg" })
