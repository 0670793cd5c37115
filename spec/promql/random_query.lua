-- Random well-formed queries, and random series for them: what the fuzz specs ask. The same seed
-- makes the same ones.
local random_query = {}
random_query.__index = random_query

-- A point that is a staleness marker.
random_query.STALE = require("spec.support.memory_querier").STALE

-- Options: seed; old = true for what Prometheus 2.42 knows and answers alike (promql.md describes
-- 3.14): no grouping by name, no extended selectors, no new functions; whole = true for @ start()
-- and @ end(); base_s: added to the times behind @.
function random_query.new(options)
  return setmetatable({ seed = options.seed, old = options.old, whole = options.whole,
    base_s = options.base_s or 0 }, random_query)
end

-- A generator of our own: math.random differs between builds.
function random_query:number(low, high)
  self.seed = (self.seed * 1103515245 + 12345) % 2147483648
  return low + math.floor(self.seed / 2147483648 * (high - low + 1))
end
function random_query:pick(list) return list[self:number(1, #list)] end
function random_query:chance(one_in) return self:number(1, one_in) == 1 end

-- --- series ------------------------------------------------------------------------------------

-- Samples of one series: a counter with resets, or a gauge with NaN and infinities; gaps, markers.
-- Options: odd_ms is added to all times; far_from_zero: counters reset to 1000; finite: no NaN.
function random_query:samples(gauge, options)
  local every, value = self:pick { 7000, 10000, 15000, 30000 }, self:number(0, 9)
  local list, odd = {}, options and options.odd_ms or 0
  local base = options and options.far_from_zero and 1000 or 0
  local strange = gauge and not (options and options.finite)
  value = value + base
  for i = 0, 119 do
    local kind = self:number(1, 20)
    value = gauge and self:number(-5, 5) or value + self:number(0, 3)
    if not gauge and self:chance(15) then value = base end
    local sample = value
    if kind == 1 then sample = nil
    elseif kind == 2 then sample = random_query.STALE
    elseif kind == 3 and strange then sample = self:pick { 0 / 0, 1 / 0, -1 / 0 } end
    if sample then list[#list + 1] = { i * every + odd, sample } end
  end
  return list
end

-- A list of { labels = { name = value }, samples = { { ms, value } } }, in order of labels.
function random_query:series(options)
  local list = {}
  for _, name in ipairs { "a_total", "b", "c_bucket" } do
    for d = 1, 2 do
      for h = 1, 3 do
        local labels = { __name__ = name, d = tostring(d), h = tostring(h) }
        if name == "c_bucket" then
          labels.h, labels.le = "1", ({ "+Inf", "1", "2" })[h]
        end
        list[#list + 1] = { labels = labels, samples = self:samples(name == "b", options) }
      end
    end
  end
  return list
end

-- --- queries -----------------------------------------------------------------------------------

function random_query:window() return self:pick { "15s", "30s", "1m", "2m", "5m", "7m" } end

function random_query:shift()
  local kind = self:number(1, 8)
  if kind == 1 then return " offset " .. self:pick { "10s", "1m", "-30s" } end
  if kind == 2 then return (" @ %.3f"):format(self.base_s + self:number(0, 900)) end
  if kind == 3 then return (" @ %.3f offset 20s"):format(self.base_s + 300) end
  if kind == 4 and self.whole then return self:pick { " @ start()", " @ end() offset 1m" } end
  return ""
end

function random_query:selector()
  return self:pick { "a_total", "b", "c_bucket", '{__name__=~"a_total|b"}', 'a_total{h="1"}',
    'b{d="2"}', "nothing", 'b{h!~"1|3"}', 'a_total{h=~"2|3",d!="1"}' }
end

function random_query:range(depth)
  if depth > 0 and not self.inside and self:chance(4) then
    self.inside = self.old -- within a subquery, 2.42's closed windows would meet its points
    local inner = self:vector(depth - 1)
    self.inside = false
    return ("(%s)[%s:%s]%s"):format(inner, self:window(),
      self:pick { "", "10s", self.old and "5s" or "17s" }, self:shift())
  end
  return ("%s[%s]%s"):format(self:selector(), self:window(), self:shift())
end

local constants = { "0", "1", "2", "0.5", "0.9", "-1", "3" }

function random_query:scalar(depth)
  local kind = self:number(1, 5)
  if kind == 1 and depth > 0 then return "scalar(" .. self:vector(depth - 1) .. ")" end
  if kind == 2 then return "(time() % 7)" end
  if kind == 3 and not self.old and self:chance(3) then
    return ("%s(%s, %s)"):format(self:pick { "min_of", "max_of" }, self:scalar(0), self:scalar(0))
  end
  return self:pick(constants)
end

local over_time = { "rate", "increase", "delta", "irate", "idelta", "resets", "changes", "deriv",
  "avg_over_time", "sum_over_time", "min_over_time", "max_over_time", "count_over_time",
  "last_over_time", "stddev_over_time", "stdvar_over_time", "present_over_time",
  "absent_over_time" }
local over_time_new = { "first_over_time", "ts_of_max_over_time", "ts_of_min_over_time",
  "ts_of_first_over_time", "ts_of_last_over_time", "mad_over_time" }

-- Forms of an instant vector, each with the depth that its parts may have.
local forms = {}

local function over_range(q, n)
  if not q.old and q:chance(5) then return q:pick(over_time_new) .. "(" .. q:range(n) .. ")" end
  return q:pick(over_time) .. "(" .. q:range(n) .. ")"
end
forms[1], forms[2] = over_range, over_range
forms[3] = function(q, n) return ("quantile_over_time(%s, %s)"):format(q:scalar(n), q:range(n)) end
forms[4] = function(q, n)
  local range = q:range(n)
  -- 2.42 takes the first step's time for all steps when the range is fixed.
  if q.old then range = range:gsub(" @ [%d.]+", "") end
  return ("predict_linear(%s, 60)"):format(range)
end
forms[5] = function(q, n)
  return ("%s%s(%s)"):format(q:pick { "sum", "avg", "min", "max", "count", "group", "stddev",
    "stdvar" }, q:pick { "", " by (h) ", " without (d) ", q.old and " by (d) " or
      " by (d, __name__) " }, q:vector(n))
end
-- The parameter is constant: that of a fixed operand would be taken at the first step only.
forms[6] = function(q, n)
  return ("quantile%s(%s, %s)"):format(q:pick { "", " by (h) " }, q:pick(constants), q:vector(n))
end
forms[7] = function(q, n)
  return ('count_values%s("%s", %s)'):format(q:pick { "", "", " by (h) ", " without (d) " },
    q:pick { "x", "h" }, q:vector(n))
end
forms[8] = function(q, n)
  return q:pick { "abs", "timestamp", "absent", "-", "sgn", "ceil", "floor", "sqrt", "exp",
    "ln", "deg", "sort", "round" } .. "(" .. q:vector(n) .. ")"
end
forms[9] = function(q, n)
  return ("%s(%s, %s)"):format(q:pick { "clamp_max", "clamp_min", "round" }, q:vector(n),
    q:scalar(n))
end
forms[10] = function(q, n)
  return ("histogram_quantile(%s, %s)"):format(q:pick { "0.5", "0.9", "0", "1" }, q:vector(n))
end
forms[11] = function(q, n)
  return q:pick {
    ('label_replace(%s, "z", "$1", "h", "(.*)")'):format(q:vector(n)),
    ('label_replace(%s, "d", "", "d", "1")'):format(q:vector(n)),
    ('label_join(%s, "z", "-", "h", "d", "le")'):format(q:vector(n)),
  }
end
forms[12] = function(q, n) return "vector(" .. q:scalar(n) .. ")" end
forms[13] = function(q, n)
  return ("(%s %s %s)"):format(q:vector(n), q:pick { "+", "-", "*", "/", ">", "<", "==", "> bool",
    "%", "^", "!=", "atan2" }, q:scalar(n))
end
forms[14] = function(q, n)
  return ("(%s %s %s)"):format(q:scalar(n), q:pick { "+", "-", "/", ">", "<=", ">= bool" },
    q:vector(n))
end
local joins = { "+", "-", "*", "/", ">", "<=", "== bool", "and", "or", "unless", "+ on (h, d)",
  "* on (h, d) group_left ()", "- ignoring (h) group_right ()", "or on (h)", "and on (d)",
  "unless on (h)", "/ ignoring (le) group_left (le)", "!= on (h, d)" }
local joins_new = { "+ on (h, d) fill (3)", "* fill_left (2)", "- on (h) fill_right (1)",
  "/ on (h, d) group_right () fill_left (4)", "> on (h, d) fill (0)",
  "== bool ignoring (d) group_left () fill_right (7)" }
forms[15] = function(q, n)
  local how = not q.old and q:chance(4) and q:pick(joins_new) or q:pick(joins)
  return ("(%s %s %s)"):format(q:vector(n), how, q:vector(n))
end
forms[16] = forms[15]
forms[17] = function(q, n)
  return ("%s(%s)"):format(q:pick { "absent", "count", "sum by (le)" }, q:vector(n))
end
-- Which of equal values are taken is another matter in 2.42.
forms[18] = function(q)
  return (q.old and "max(%s%s(%s, %s))" or "%s%s(%s, %s)"):format(
    q:pick { "topk", "bottomk" }, q:pick { "", " by (h) " },
    q:pick { "1", "2", "3" }, q:selector())
end
-- Of times only: parts of the date of a NaN or of infinity are any value.
forms[19] = function(q, n)
  return ("%s(timestamp(%s))"):format(q:pick { "hour", "minute", "day_of_month" }, q:vector(n))
end
local old_forms = #forms
forms[20] = function(q)
  return ("%s(%s[%s] %s)"):format(q:pick { "rate", "increase", "delta" }, q:selector(), q:window(),
    q:pick { "anchored", "smoothed" })
end
forms[21] = function(q)
  return ("%s(%s[%s] anchored)"):format(q:pick { "resets", "changes" }, q:selector(), q:window())
end
forms[22] = function(q) return q:selector() .. " smoothed" end
forms[23] = function(q)
  return ("limitk%s(%s, %s)"):format(q:pick { "", " by (h) " }, q:pick(constants), q:selector())
end
forms[24] = function(q, n)
  return ("histogram_fraction(%s, %s, %s)"):format(q:pick(constants), q:pick { "1", "1.5", "2" },
    q:vector(n))
end
forms[25] = function(q, n)
  return ("double_exponential_smoothing(%s, 0.3, 0.6)"):format(q:range(n))
end

function random_query:vector(depth)
  if depth <= 0 then return self:selector() .. self:shift() end
  return forms[self:number(1, self.old and old_forms or #forms)](self, depth - 1)
end

return random_query
