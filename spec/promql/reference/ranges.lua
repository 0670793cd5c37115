-- Functions of range vectors, for the reference evaluator (docs/reference/promql.md 11, 13). Each
-- gets a window { samples = { { ms, value } }, from_ms, to_ms, seconds, mode } and answers a number
-- or nil.
local numbers = require "spec.promql.reference.numbers"

local ranges = {}
local is_nan = numbers.is_nan

local function values(window)
  local list = {}
  for i, sample in ipairs(window.samples) do list[i] = sample[2] end
  return list
end

-- 13.7
local function extrapolated(window, counter, per_second)
  local s = window.samples
  local n = #s
  if n < 2 then return nil end
  local result = s[n][2] - s[1][2]
  if counter then
    for i = 2, n do
      if s[i][2] < s[i - 1][2] then result = result + s[i - 1][2] end
    end
  end
  local to_start, to_end = (s[1][1] - window.from_ms) / 1000, (window.to_ms - s[n][1]) / 1000
  local span = (s[n][1] - s[1][1]) / 1000
  local average = span / (n - 1)
  local threshold = average * 1.1
  if to_start >= threshold then to_start = average / 2 end
  if counter then
    local to_zero = to_start
    if result > 0 and s[1][2] >= 0 then to_zero = span * (s[1][2] / result) end
    if to_zero < to_start then to_start = to_zero end
  end
  if to_end >= threshold then to_end = average / 2 end
  local factor = span == 0 and 1 or (span + to_start + to_end) / span
  if per_second then factor = factor / window.seconds end
  return result * factor
end

-- 11
local function extended(window, counter, per_second)
  local s, smoothed = window.samples, window.mode == "smoothed"
  local n, first, last = #s, 1, #s
  if n == 0 then return nil end
  for i = 1, n do
    if s[i][1] <= window.from_ms then first = i end
  end
  if smoothed then
    for i = n, 1, -1 do
      if s[i][1] >= window.to_ms then last = i end
    end
  end
  if s[last][1] <= window.from_ms then return nil end
  if smoothed and s[first][1] > window.to_ms then return nil end
  local function interpolate(p, q, t)
    local y = p[2]
    if counter and q[2] < y then y = 0 end
    return y + (q[2] - y) * (t - p[1]) / (q[1] - p[1])
  end
  local left, right = s[first][2], s[last][2]
  if smoothed and s[first][1] < window.from_ms then
    left = interpolate(s[first], s[first + 1], window.from_ms)
  end
  if smoothed and last > 1 and s[last][1] > window.to_ms then
    right = interpolate(s[last - 1], s[last], window.to_ms)
  end
  local result = right - left
  if counter then
    local i, j, prev = first, last, left
    if s[first][1] <= window.from_ms then i = i + 1 end
    if s[last][1] >= window.to_ms then j = j - 1 end
    for k = i, j do
      if s[k][2] < prev then result = result + prev end
      prev = s[k][2]
    end
    if right < prev then result = result + prev end
  end
  if per_second then result = result / window.seconds end
  return result
end

local function rate_of(counter, per_second)
  return function(window)
    if window.mode then return extended(window, counter, per_second) end
    return extrapolated(window, counter, per_second)
  end
end

ranges.rate = rate_of(true, true)
ranges.increase = rate_of(true, false)
ranges.delta = rate_of(false, false)

local function last_two(window, per_second)
  local s = window.samples
  local a, b = s[#s - 1], s[#s]
  if not a or a[1] == b[1] then return nil end
  if not per_second then return b[2] - a[2] end
  return (b[2] < a[2] and b[2] or b[2] - a[2]) / ((b[1] - a[1]) / 1000)
end
function ranges.irate(window) return last_two(window, true) end
function ranges.idelta(window) return last_two(window, false) end

-- What an anchored window counts from: the last sample at or before its left edge.
local function anchored_samples(window)
  local s, from = window.samples, 1
  if window.mode ~= "anchored" then return s end
  for i, sample in ipairs(s) do
    if sample[1] <= window.from_ms then from = i end
  end
  if s[#s][1] <= window.from_ms then return {} end
  local out = {}
  for i = from, #s do out[#out + 1] = s[i] end
  return out
end

local function pairs_that(test)
  return function(window)
    local s, count = anchored_samples(window), 0
    if #s == 0 then return nil end
    for i = 2, #s do
      if test(s[i - 1][2], s[i][2]) then count = count + 1 end
    end
    return count
  end
end
ranges.resets = pairs_that(function(a, b) return b < a end)
ranges.changes = pairs_that(function(a, b) return a ~= b and not (is_nan(a) and is_nan(b)) end)

function ranges.deriv(window)
  if #window.samples < 2 then return nil end
  return (numbers.regression(window.samples, window.samples[1][1]))
end
function ranges.predict_linear(window, seconds)
  if #window.samples < 2 then return nil end
  local slope, intercept = numbers.regression(window.samples, window.eval_ms)
  return slope * seconds + intercept
end
function ranges.double_exponential_smoothing(window, sf, tf)
  local x = values(window)
  if not (sf > 0 and sf < 1) or not (tf > 0 and tf < 1) then error({ text = "invalid" }, 0) end
  if #x < 2 then return nil end
  local s0, s1, b = 0, x[1], x[2] - x[1]
  for i = 2, #x do
    if i > 2 then b = tf * (s1 - s0) + (1 - tf) * b end
    s0, s1 = s1, sf * x[i] + (1 - sf) * (s1 + b)
  end
  return s1
end

function ranges.avg_over_time(window) return numbers.mean(values(window)) end
function ranges.sum_over_time(window) return numbers.sum_over_time(values(window)) end
function ranges.count_over_time(window) return #window.samples end
function ranges.present_over_time() return 1 end
function ranges.stdvar_over_time(window) return numbers.variance_over_time(values(window)) end
function ranges.stddev_over_time(window)
  return math.sqrt(numbers.variance_over_time(values(window)))
end
function ranges.quantile_over_time(window, q) return numbers.quantile(q, values(window)) end
function ranges.mad_over_time(window)
  local x = values(window)
  for _, v in ipairs(x) do
    if is_nan(v) then return numbers.NAN end
  end
  local middle, distances = numbers.quantile(0.5, x), {}
  for i, v in ipairs(x) do distances[i] = math.abs(v - middle) end
  return numbers.quantile(0.5, distances)
end

local function best(window, better, or_equal)
  local found = window.samples[1]
  for i = 2, #window.samples do
    local sample = window.samples[i]
    if better(sample[2], found[2]) or is_nan(found[2]) or or_equal and sample[2] == found[2] then
      found = sample
    end
  end
  return found
end
local function less(a, b) return a < b end
local function more(a, b) return a > b end
function ranges.min_over_time(window) return best(window, less)[2] end
function ranges.max_over_time(window) return best(window, more)[2] end
function ranges.ts_of_min_over_time(window) return best(window, less, true)[1] / 1000 end
function ranges.ts_of_max_over_time(window) return best(window, more, true)[1] / 1000 end
function ranges.first_over_time(window) return window.samples[1][2] end
function ranges.last_over_time(window) return window.samples[#window.samples][2] end
function ranges.ts_of_first_over_time(window) return window.samples[1][1] / 1000 end
function ranges.ts_of_last_over_time(window) return window.samples[#window.samples][1] / 1000 end

return ranges
