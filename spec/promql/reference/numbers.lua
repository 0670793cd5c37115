-- Arithmetic of the reference evaluator, written from docs/reference/promql.md 12, one sample at a
-- time and without a thought for speed.
local numbers = {}

local INF = 1 / 0
numbers.NAN = 0 / 0

function numbers.is_nan(x) return x ~= x end
local is_nan = numbers.is_nan

-- 12.1
function numbers.inc(x, sum, c)
  local t = sum + x
  if t == INF or t == -INF then c = 0
  elseif math.abs(sum) >= math.abs(x) then c = c + ((sum - t) + x)
  else c = c + ((x - t) + sum) end
  return t, c
end
local inc = numbers.inc

function numbers.sum(values)
  local sum, c = values[1], 0
  for i = 2, #values do sum, c = inc(values[i], sum, c) end
  return sum + c
end

function numbers.sum_over_time(values)
  local sum, c = 0, 0
  for _, x in ipairs(values) do sum, c = inc(x, sum, c) end
  if sum == INF or sum == -INF then return sum end
  return sum + c
end

-- 12.2
function numbers.mean(values)
  local sum, c, n, incremental, mean = values[1], 0, 1, false, nil
  for i = 2, #values do
    local x = values[i]
    n = n + 1
    local go_on = false
    if not incremental then
      local s2, c2 = inc(x, sum, c)
      if s2 ~= INF and s2 ~= -INF then
        sum, c, go_on = s2, c2, true
      else
        incremental, mean, c = true, sum / (n - 1), c / (n - 1)
      end
    end
    if not go_on then
      local q = (n - 1) / n
      mean, c = inc(x / n, q * mean, q * c)
    end
  end
  if incremental then return mean + c end
  return sum / n + c / n
end

-- 12.3, over time and in aggregations
function numbers.variance_over_time(values)
  local count, mean, cm, aux, ca = 0, 0, 0, 0, 0
  for _, x in ipairs(values) do
    count = count + 1
    local d = x - (mean + cm)
    mean, cm = inc(d / count, mean, cm)
    aux, ca = inc(d * (x - (mean + cm)), aux, ca)
  end
  return (aux + ca) / count
end

function numbers.variance(values)
  local mean, count = values[1], 1
  local aux = (is_nan(mean) or mean == INF or mean == -INF) and numbers.NAN or 0
  for i = 2, #values do
    count = count + 1
    local d = values[i] - mean
    mean = mean + d / count
    aux = aux + d * (values[i] - mean)
  end
  return aux / count
end

-- 12.4: samples are { ms, value }; slope and intercept.
function numbers.regression(samples, origin_ms)
  local equal = true
  for _, sample in ipairs(samples) do
    if sample[2] ~= samples[1][2] then equal = false end
  end
  local first = samples[1][2]
  if equal then
    if first == INF or first == -INF then return numbers.NAN, numbers.NAN end
    return 0, first
  end
  local n, sx, cx, sy, cy, sxy, cxy, sxx, cxx = 0, 0, 0, 0, 0, 0, 0, 0, 0
  for _, sample in ipairs(samples) do
    local x, y = (sample[1] - origin_ms) / 1000, sample[2]
    n = n + 1
    sx, cx = inc(x, sx, cx)
    sy, cy = inc(y, sy, cy)
    sxy, cxy = inc(x * y, sxy, cxy)
    sxx, cxx = inc(x * x, sxx, cxx)
  end
  sx, sy, sxy, sxx = sx + cx, sy + cy, sxy + cxy, sxx + cxx
  local cov, var = sxy - sx * sy / n, sxx - sx * sx / n
  local slope = cov / var
  return slope, sy / n - slope * sx / n
end

-- 12.5
function numbers.min(a, b)
  if a == -INF or b == -INF then return -INF end
  if is_nan(a) or is_nan(b) then return numbers.NAN end
  return a < b and a or b
end
function numbers.max(a, b)
  if a == INF or b == INF then return INF end
  if is_nan(a) or is_nan(b) then return numbers.NAN end
  return a > b and a or b
end

-- 12.6
function numbers.quantile(q, values)
  if #values == 0 or is_nan(q) then return numbers.NAN end
  if q < 0 then return -INF end
  if q > 1 then return INF end
  local sorted, nans = {}, {}
  for _, x in ipairs(values) do
    if is_nan(x) then nans[#nans + 1] = x else sorted[#sorted + 1] = x end
  end
  table.sort(sorted)
  for _, x in ipairs(sorted) do nans[#nans + 1] = x end
  local n = #nans
  local rank = q * (n - 1)
  local low = math.max(0, math.floor(rank))
  local high = math.min(n - 1, low + 1)
  local w = rank - math.floor(rank)
  return nans[low + 1] * (1 - w) + nans[high + 1] * w
end

-- --- 12.7: buckets are { bound, count } ---

local function almost_equal(a, b)
  if a == b then return true end
  local s, d, tiny = math.abs(a) + math.abs(b), math.abs(a - b), 2.2250738585072014e-308
  if a == 0 or b == 0 or s < tiny then return d < 1e-12 * tiny end
  return d / math.min(s, 1.7976931348623157e308) < 1e-12
end

local function merged(buckets)
  table.sort(buckets, function(a, b) return a[1] < b[1] end)
  if #buckets == 0 or buckets[#buckets][1] ~= INF then return nil end
  local out = {}
  for _, bucket in ipairs(buckets) do
    local last = out[#out]
    if last and last[1] == bucket[1] then last[2] = last[2] + bucket[2]
    else out[#out + 1] = { bucket[1], bucket[2] } end
  end
  return out
end

function numbers.bucket_quantile(q, buckets)
  if is_nan(q) then return numbers.NAN end
  if q < 0 then return -INF end
  if q > 1 then return INF end
  local b = merged(buckets)
  if not b then return numbers.NAN end
  local prev = b[1][2]
  for i = 2, #b do
    local cur = b[i][2]
    if cur ~= prev then
      if almost_equal(prev, cur) or cur < prev then b[i][2] = prev else prev = cur end
    end
  end
  local n = #b
  if n < 2 or b[n][2] == 0 then return numbers.NAN end
  local rank, i = q * b[n][2], n
  for k = 1, n - 1 do
    if b[k][2] >= rank then i = k break end
  end
  if i == n then return b[n - 1][1] end
  if i == 1 and b[1][1] <= 0 then return b[1][1] end
  local from, to, count = 0, b[i][1], b[i][2]
  if i > 1 then
    from = b[i - 1][1]
    count = count - b[i - 1][2]
    rank = rank - b[i - 1][2]
  end
  return from + (to - from) * (rank / count)
end

function numbers.bucket_fraction(lo, hi, buckets)
  local b = merged(buckets)
  if not b then return numbers.NAN end
  local total = b[#b][2]
  if total == 0 or is_nan(total) or is_nan(lo) or is_nan(hi) then return numbers.NAN end
  if lo >= hi then return 0 end
  local rank, low_rank, high_rank = 0, nil, nil
  for i, bucket in ipairs(b) do
    local lower, upper, count = i > 1 and b[i - 1][1] or (b[1][1] > 0 and 0 or -INF), bucket[1],
      bucket[2]
    local function line(v)
      if lower == -INF then return count end
      return rank + (count - rank) * (v - lower) / (upper - lower)
    end
    if not low_rank and lower >= lo then low_rank = rank end
    if not high_rank and lower >= hi then high_rank = rank end
    if low_rank and high_rank then break end
    if not low_rank and lower < lo and lo < upper then low_rank = line(lo) end
    if not high_rank and lower < hi and hi < upper then high_rank = line(hi) end
    if low_rank and high_rank then break end
    rank = count
  end
  if not low_rank or low_rank > total then low_rank = total end
  if not high_rank or high_rank > total then high_rank = total end
  return (high_rank - low_rank) / total
end

return numbers
