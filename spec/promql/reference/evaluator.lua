-- A slow, obvious evaluator of PromQL, written from docs/reference/promql.md: one instant at a
-- time, every node anew at every step of every subquery. It judges the engine in fuzz runs; it
-- shares the parser with it (its input is the tree that parse_query answers) and nothing else.
local binary = require "spec.promql.reference.binary"
local numbers = require "spec.promql.reference.numbers"
local ranges = require "spec.promql.reference.ranges"
local json = require "cjson"

local reference = {}
-- A point that is a staleness marker.
reference.STALE = require("spec.support.memory_querier").STALE

local LOOKBACK_MS, SUBQUERY_STEP_MS = 300000, 60000
local eval

local function fail(text) error({ text = text }, 0) end

local function copy(labels)
  local out = {}
  for name, value in pairs(labels) do out[name] = value end
  return out
end

-- --- selectors ---------------------------------------------------------------------------------

-- Alternatives of literals with .* and .+ in them: all that the fuzz needs.
local function regex_accepts(regex, text)
  for alternative in (regex .. "|"):gmatch("(.-)|") do
    local pattern = alternative:gsub("[%-%(%)%%%[%]%^%$%?]", "%%%0")
    if text:match("^" .. pattern .. "$") then return true end
  end
  return false
end

local function accepts(matcher, labels)
  local value = labels[matcher.name] or ""
  if matcher.type == "=" then return value == matcher.value end
  if matcher.type == "!=" then return value ~= matcher.value end
  return regex_accepts(matcher.value, value) == (matcher.type == "=~")
end

local function select_series(ctx, node)
  local out = {}
  for _, series in ipairs(ctx.store) do
    local all = true
    for _, matcher in ipairs(node.matchers) do all = all and accepts(matcher, series.labels) end
    if all then out[#out + 1] = series end
  end
  return out
end

local function reference_time(ctx, node, t)
  if node.timestamp ~= json.null then t = node.timestamp
  elseif node.startOrEnd == "start" then t = ctx.start_ms
  elseif node.startOrEnd == "end" then t = ctx.end_ms end
  return t - node.offset
end

-- 10.1: the newest sample, if lookback reaches it and it is no marker.
local function newest(series, ref)
  local found
  for _, sample in ipairs(series.samples) do
    if sample[1] <= ref and sample[1] > ref - LOOKBACK_MS then found = sample end
  end
  if found and found[2] ~= reference.STALE then return found end
end

-- The samples in (from, to] that are no markers.
local function between(series, from, to)
  local out = {}
  for _, sample in ipairs(series.samples) do
    if sample[1] > from and sample[1] <= to and sample[2] ~= reference.STALE then
      out[#out + 1] = sample
    end
  end
  return out
end

local function smoothed_value(series, ref)
  local around, before, after = between(series, ref - LOOKBACK_MS, ref + LOOKBACK_MS), nil, nil
  for _, sample in ipairs(around) do
    if sample[1] <= ref then before = sample elseif not after then after = sample end
  end
  if not before then return nil end
  if before[1] == ref or not after then return before[2] end
  return before[2] + (after[2] - before[2]) * (ref - before[1]) / (after[1] - before[1])
end

local function instant(ctx, node, t)
  local ref, out = reference_time(ctx, node, t), {}
  for _, series in ipairs(select_series(ctx, node)) do
    local value
    if node.smoothed then value = smoothed_value(series, ref)
    else
      local sample = newest(series, ref)
      value = sample and sample[2]
    end
    if value then out[#out + 1] = { labels = series.labels, value = value, drop = false } end
  end
  return out
end

-- 10.2, 10.4: windows of a range selector or subquery, each with the labels of its series.
local function windows(ctx, node, t)
  local ref, out = reference_time(ctx, node, t), {}
  local from, to = ref - node.range, ref
  local function window(labels, samples, drop, mode)
    if #samples > 0 then
      out[#out + 1] = { labels = labels, samples = samples, drop = drop, from_ms = from, to_ms = to,
        seconds = node.range / 1000, mode = mode, eval_ms = t }
    end
  end
  if node.type == "matrixSelector" then
    local mode = node.anchored and "anchored" or node.smoothed and "smoothed" or nil
    for _, series in ipairs(select_series(ctx, node)) do
      window(series.labels, between(series, mode and from - LOOKBACK_MS or from,
        mode == "smoothed" and to + LOOKBACK_MS or to), false, mode)
    end
    return out
  end
  local step, by_key, order = node.step ~= 0 and node.step or SUBQUERY_STEP_MS, {}, {}
  for at = math.floor(from / step) * step + step, to, step do
    local value, kind = eval(ctx, node.expr, at)
    if kind == "scalar" then value = { { labels = {}, value = value } } end
    for _, sample in ipairs(value) do
      local key = binary.key(sample.labels)
      if not by_key[key] then
        by_key[key] = { labels = sample.labels, samples = {}, drop = sample.drop }
        order[#order + 1] = by_key[key]
      end
      local samples = by_key[key].samples
      if samples[#samples] and samples[#samples][1] == at then
        fail("vector cannot contain metrics with the same labelset")
      end
      samples[#samples + 1] = { at, sample.value }
    end
  end
  for _, one in ipairs(order) do window(one.labels, one.samples, one.drop) end
  return out
end

-- --- calls -------------------------------------------------------------------------------------

local function strip(node)
  while node.type == "parenExpr" do node = node.expr end
  return node
end

-- 13.3: the labels that a selector fixes.
local function absent_labels(node)
  local labels, set = {}, {}
  if node.type ~= "vectorSelector" and node.type ~= "matrixSelector" then return labels end
  for _, matcher in ipairs(node.matchers) do
    if matcher.name ~= "__name__" then
      if matcher.type == "=" and not set[matcher.name] then
        labels[matcher.name], set[matcher.name] = matcher.value, true
      else
        labels[matcher.name] = nil
      end
    end
  end
  for name, value in pairs(labels) do
    if value == "" then labels[name] = nil end
  end
  return labels
end

local function mapped(change)
  return function(ctx, t, node)
    local params = {}
    for i = 2, #node.args do params[i - 1] = eval(ctx, node.args[i], t) end
    local out = {}
    for _, sample in ipairs((eval(ctx, node.args[1], t))) do
      local value = change(sample.value, params[1], params[2])
      if value then out[#out + 1] = { labels = sample.labels, value = value, drop = true } end
    end
    return out
  end
end

local function date_part(format)
  return function(ctx, t, node)
    local function part(seconds)
      seconds = seconds < 0 and math.ceil(seconds) or math.floor(seconds)
      return tonumber(os.date("!" .. format, seconds))
    end
    if #node.args == 0 then return { { labels = {}, value = part(t / 1000), drop = true } } end
    local out = {}
    for _, sample in ipairs((eval(ctx, node.args[1], t))) do
      out[#out + 1] = { labels = sample.labels, value = part(sample.value), drop = true }
    end
    return out
  end
end

local function sign(x) return x > 0 and 1 or x < 0 and -1 or x end
local function natural_log(x) return x < 0 and numbers.NAN or math.log(x) end

local calls = {}
for _, name in ipairs { "abs", "ceil", "floor", "exp", "sqrt", "sin", "cos", "tan", "asin", "acos",
  "atan", "sinh", "cosh", "tanh" } do
  calls[name] = mapped(math[name])
end
calls.sgn = mapped(sign)
calls.ln = mapped(natural_log)
calls.deg = mapped(function(x) return x * 180 / math.pi end)
calls.rad = mapped(function(x) return x * math.pi / 180 end)
calls.round = mapped(function(x, to)
  local inverse = 1 / (to or 1)
  return math.floor(x * inverse + 0.5) / inverse
end)
calls.clamp = mapped(function(x, low, high)
  if high < low then return nil end
  return numbers.max(low, numbers.min(high, x))
end)
calls.clamp_max = mapped(function(x, high) return numbers.max(-1 / 0, numbers.min(high, x)) end)
calls.clamp_min = mapped(function(x, low) return numbers.max(low, numbers.min(1 / 0, x)) end)
calls.hour, calls.minute = date_part("%H"), date_part("%M")
calls.month, calls.year = date_part("%m"), date_part("%Y")
calls.day_of_month, calls.day_of_week = date_part("%d"), date_part("%w")
calls.day_of_year = date_part("%j")

function calls.timestamp(ctx, t, node)
  local argument, out = strip(node.args[1]), {}
  if argument.type == "vectorSelector" then
    local ref = reference_time(ctx, argument, t)
    for _, series in ipairs(select_series(ctx, argument)) do
      local sample = newest(series, ref)
      if sample then out[#out + 1] = { labels = series.labels, value = sample[1] / 1000,
        drop = true } end
    end
    return out
  end
  for _, sample in ipairs((eval(ctx, argument, t))) do
    out[#out + 1] = { labels = sample.labels, value = t / 1000, drop = true }
  end
  return out
end

function calls.time(_, t) return t / 1000, "scalar" end
function calls.min_of(ctx, t, node)
  return numbers.min((eval(ctx, node.args[1], t)), (eval(ctx, node.args[2], t))), "scalar"
end
function calls.max_of(ctx, t, node)
  return numbers.max((eval(ctx, node.args[1], t)), (eval(ctx, node.args[2], t))), "scalar"
end
function calls.pi() return math.pi, "scalar" end
function calls.vector(ctx, t, node) return { { labels = {}, value = (eval(ctx, node.args[1], t)) } }
end
function calls.scalar(ctx, t, node)
  local vector = eval(ctx, node.args[1], t)
  return #vector == 1 and vector[1].value or numbers.NAN, "scalar"
end
function calls.absent(ctx, t, node)
  local argument = strip(node.args[1])
  if #eval(ctx, argument, t) > 0 then return {} end
  return { { labels = absent_labels(argument), value = 1 } }
end
function calls.absent_over_time(ctx, t, node)
  local argument = strip(node.args[1])
  if #windows(ctx, argument, t) > 0 then return {} end
  return { { labels = absent_labels(argument), value = 1 } }
end
function calls.sort(ctx, t, node) return eval(ctx, node.args[1], t) end
calls.sort_desc, calls.sort_by_label, calls.sort_by_label_desc = calls.sort, calls.sort, calls.sort

-- The replacement's $1 for the whole value of source only: regex "(.*)" or a literal.
function calls.label_replace(ctx, t, node)
  local target, replacement = node.args[2].val, node.args[3].val
  local source, regex = node.args[4].val, node.args[5].val
  local out, seen = {}, {}
  for _, sample in ipairs((eval(ctx, node.args[1], t))) do
    local labels, drop, value = copy(sample.labels), sample.drop, sample.labels[source] or ""
    if regex == "(.*)" or regex_accepts(regex, value) then
      local new = replacement:gsub("%$1", (value:gsub("%%", "%%%%")))
      labels[target] = new ~= "" and new or nil
    end
    if target == "__name__" then drop = false end
    local key = binary.key(labels)
    if seen[key] then fail("vector cannot contain metrics with the same labelset") end
    seen[key] = true
    out[#out + 1] = { labels = labels, value = sample.value, drop = drop }
  end
  return out
end
function calls.label_join(ctx, t, node)
  local target, separator = node.args[2].val, node.args[3].val
  local out, seen = {}, {}
  for _, sample in ipairs((eval(ctx, node.args[1], t))) do
    local labels, parts = copy(sample.labels), {}
    for i = 4, #node.args do parts[#parts + 1] = labels[node.args[i].val] or "" end
    local new = table.concat(parts, separator)
    labels[target] = new ~= "" and new or nil
    local key = binary.key(labels)
    if seen[key] then fail("vector cannot contain metrics with the same labelset") end
    seen[key] = true
    out[#out + 1] = { labels = labels, value = sample.value,
      drop = sample.drop and target ~= "__name__" }
  end
  return out
end

-- 13.11: { labels without le, buckets } of each group, in order.
local function bucket_groups(vector)
  local groups, order = {}, {}
  for _, sample in ipairs(vector) do
    local le = sample.labels.le and tonumber((sample.labels.le:gsub("^%+Inf$", "inf")))
    if le then
      local labels = copy(sample.labels)
      labels.le = nil
      local key = binary.key(labels)
      if not groups[key] then
        groups[key] = { labels = labels, buckets = {} }
        order[#order + 1] = groups[key]
      end
      table.insert(groups[key].buckets, { le, sample.value })
    end
  end
  return order
end
function calls.histogram_quantile(ctx, t, node)
  local q, out = eval(ctx, node.args[1], t), {}
  for _, group in ipairs(bucket_groups((eval(ctx, node.args[2], t)))) do
    out[#out + 1] = { labels = group.labels, drop = true,
      value = numbers.bucket_quantile(q, group.buckets) }
  end
  return out
end
function calls.histogram_fraction(ctx, t, node)
  local low, high, out = eval(ctx, node.args[1], t), eval(ctx, node.args[2], t), {}
  for _, group in ipairs(bucket_groups((eval(ctx, node.args[3], t)))) do
    out[#out + 1] = { labels = group.labels, drop = true,
      value = numbers.bucket_fraction(low, high, group.buckets) }
  end
  return out
end

local keeps_name = { first_over_time = true, last_over_time = true }

local function range_call(ctx, t, node)
  local name, at, params = node.func.name, nil, {}
  for i, argument in ipairs(node.args) do
    local inner = strip(argument)
    if inner.type == "matrixSelector" or inner.type == "subquery" then at = inner
    else params[#params + 1] = eval(ctx, node.args[i], t) end
  end
  local out = {}
  for _, window in ipairs(windows(ctx, at, t)) do
    local value = ranges[name](window, params[1], params[2])
    if value then
      out[#out + 1] = { labels = window.labels, value = value,
        drop = not keeps_name[name] or window.drop }
    end
  end
  return out
end

-- --- aggregations ------------------------------------------------------------------------------

-- The shortest decimal that reads back the same, never with an exponent.
local function plain_decimal(value)
  if value ~= value then return "NaN" end
  if value == 1 / 0 then return "+Inf" end
  if value == -1 / 0 then return "-Inf" end
  if value == 0 then return 1 / value < 0 and "-0" or "0" end
  for digits = 1, 17 do
    local text = ("%." .. digits .. "g"):format(value)
    if tonumber(text) == value then
      if not text:find("e") then return text end
      local mantissa, exponent = text:match("^(.-)e(.*)$")
      local decimals = #(mantissa:match("%.(%d+)") or "") - tonumber(exponent)
      return ("%." .. math.max(0, decimals) .. "f"):format(value)
    end
  end
end

-- 15.4: a heap of k samples with the worst on top, as Go's container/heap keeps one: which of equal
-- samples has to leave is the heap's.
local function pick(name, k, members)
  local heap = {}
  if name == "limitk" then
    for i = 1, math.min(#members, k) do heap[i] = members[i] end
    return heap
  end
  k = math.floor(k)
  local function worse(i, j)
    local x, y = heap[i].value, heap[j].value
    if x ~= x then return true end
    if name == "topk" then return x < y end
    return x > y
  end
  local function swap(i, j) heap[i], heap[j] = heap[j], heap[i] end
  local function sink()
    local i = 1
    while 2 * i <= #heap do
      local child = 2 * i
      if child < #heap and worse(child + 1, child) then child = child + 1 end
      if not worse(child, i) then return end
      swap(i, child)
      i = child
    end
  end
  for _, sample in ipairs(members) do
    if #heap < k then
      heap[#heap + 1] = sample
      local i = #heap
      while i > 1 and worse(i, math.floor(i / 2)) do
        swap(i, math.floor(i / 2))
        i = math.floor(i / 2)
      end
    elseif k >= 1 then
      local first, value = heap[1].value, sample.value
      if name == "topk" and first < value or name == "bottomk" and first > value or
        first ~= first and value == value then
        heap[1] = sample
        sink()
      end
    end
  end
  return heap
end

local function values_of(members)
  local list = {}
  for i, sample in ipairs(members) do list[i] = sample.value end
  return list
end

local folds = {
  sum = function(v) return numbers.sum(v) end,
  avg = function(v) return numbers.mean(v) end,
  count = function(v) return #v end,
  group = function() return 1 end,
  stdvar = function(v) return numbers.variance(v) end,
  stddev = function(v) return math.sqrt(numbers.variance(v)) end,
  quantile = function(v, q) return numbers.quantile(q, v) end,
  min = function(v)
    local best = v[1]
    for _, x in ipairs(v) do if x < best or best ~= best then best = x end end
    return best
  end,
  max = function(v)
    local best = v[1]
    for _, x in ipairs(v) do if x > best or best ~= best then best = x end end
    return best
  end,
}

local function aggregate(ctx, t, node)
  local vector = eval(ctx, strip(node.expr), t)
  local op, listed, groups, order = node.op, {}, {}, {}
  local param = node.param ~= json.null and eval(ctx, strip(node.param), t)
  for _, name in ipairs(node.grouping) do listed[name] = true end
  if op == "count_values" then
    local counted = {}
    for i, sample in ipairs(vector) do
      local labels = copy(sample.labels)
      labels[param] = plain_decimal(sample.value)
      counted[i] = { labels = labels, value = 1, drop = false }
    end
    vector, op = counted, "count"
    if not node.without then listed[param] = true end
  end
  for _, sample in ipairs(vector) do
    local labels = {}
    for name, value in pairs(sample.labels) do
      if node.without then
        if not listed[name] and name ~= "__name__" then labels[name] = value end
      elseif listed[name] then
        labels[name] = value
      end
    end
    local key = binary.key(labels)
    local group = groups[key]
    if not group then
      group = { labels = labels, members = {}, drop = false }
      groups[key] = group
      order[#order + 1] = group
    end
    table.insert(group.members, sample)
    group.drop = group.drop or sample.drop
  end
  local out = {}
  for _, group in ipairs(order) do
    if op == "topk" or op == "bottomk" or op == "limitk" then
      if param ~= param then fail("Parameter value is NaN") end
      for _, sample in ipairs(pick(op, param, group.members)) do out[#out + 1] = sample end
    else
      out[#out + 1] = { labels = group.labels, value = folds[op](values_of(group.members), param),
        drop = group.drop }
    end
  end
  return out
end

-- --- nodes -------------------------------------------------------------------------------------

local function operate(ctx, t, node)
  local left, left_kind = eval(ctx, node.lhs, t)
  local right, right_kind = eval(ctx, node.rhs, t)
  if left_kind == "scalar" and right_kind == "scalar" then
    return binary.scalars(node.op, left, right), "scalar"
  end
  if left_kind == "scalar" then return binary.with_scalar(node, right, left, true), "vector" end
  if right_kind == "scalar" then return binary.with_scalar(node, left, right, false), "vector" end
  if binary.is_set(node.op) then
    return binary.sets(node.op, node.matching, left, right), "vector"
  end
  return binary.vectors(node, left, right), "vector"
end

function eval(ctx, node, t)
  local kind = node.type
  if kind == "numberLiteral" then
    return tonumber((node.val:gsub("^%+", ""))) or numbers.NAN, "scalar"
  elseif kind == "stringLiteral" then return node.val, "string"
  elseif kind == "parenExpr" then return eval(ctx, node.expr, t)
  elseif kind == "vectorSelector" then return instant(ctx, node, t), "vector"
  elseif kind == "binaryExpr" then return operate(ctx, t, node)
  elseif kind == "aggregation" then return aggregate(ctx, t, node), "vector"
  elseif kind == "unaryExpr" then
    local value, what = eval(ctx, node.expr, t)
    if node.op == "+" then return value, what end
    if what == "scalar" then return -value, what end
    local out = {}
    for i, sample in ipairs(value) do
      out[i] = { labels = sample.labels, value = -sample.value, drop = true }
    end
    return out, what
  elseif kind == "call" then
    if ranges[node.func.name] then return range_call(ctx, t, node), "vector" end
    local value, what = assert(calls[node.func.name], node.func.name)(ctx, t, node)
    return value, what or "vector"
  end
  error("no such node: " .. tostring(kind))
end

-- 17: the names go at the end.
local function finish(vector)
  local out, seen = {}, {}
  for i, sample in ipairs(vector) do
    local labels = copy(sample.labels)
    if sample.drop then labels.__name__, labels.__type__, labels.__unit__ = nil, nil, nil end
    local key = binary.key(labels)
    if seen[key] then fail("vector cannot contain metrics with the same labelset") end
    seen[key] = true
    out[i] = { labels = labels, value = sample.value }
  end
  return out
end

-- store: a list of { labels = { name = value }, samples = { { ms, value or STALE } } } in order of
-- labels. tree: what parse_query answers, decoded. Returns a list of { labels, value } (a scalar is
-- one without labels), or nil and a text.
function reference.instant(store, tree, time_ms)
  local ctx = { store = store, start_ms = time_ms, end_ms = time_ms }
  local ok, result = pcall(function()
    local value, kind = eval(ctx, tree, time_ms)
    if kind == "scalar" then return { { labels = {}, value = value } } end
    return finish(value)
  end)
  if ok then return result end
  if type(result) == "table" and result.text then return nil, result.text end
  error(result, 0)
end

return reference
