-- A series that got no sample for a while belongs to something that is gone. Its history is kept
-- for a shorter time than that of the living. (Samples are dropped by age, the oldest first; the
-- answer depends on the time, so it says how long it holds.)

local DEAD_AFTER = tide.days(30)
local KEEP = "60d"

tide.retention("forget the dead", function(series)
  if series.last and tide.ago(series.last) > DEAD_AFTER then return KEEP, "1d" end
end)
