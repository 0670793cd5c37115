-- A function of PromQL: the last value of a window, or its median if that value lies so far off
-- that it can only be a fault of measurement (Hampel's filter: k times the scaled median of the
-- deviations).
--
--     hampel_over_time(room_celsius[1h], 3)

local SCALE = 1.4826 -- of the normal distribution

tide.func("hampel_over_time", { args = "range, scalar" }, function(_, values, k)
  local median = values:quantile(0.5)
  local deviation = values:map(function(value) return math.abs(value - median) end):quantile(0.5)
  local last = values:last()
  if math.abs(last - median) > k * SCALE * deviation then return median end
  return last
end)
