-- Operators of the reference evaluator (docs/reference/promql.md 16).

local binary = {}

local arithmetic = {
  ["+"] = function(a, b) return a + b end,
  ["-"] = function(a, b) return a - b end,
  ["*"] = function(a, b) return a * b end,
  ["/"] = function(a, b) return a / b end,
  ["%"] = function(a, b) return math.fmod(a, b) end,
  ["^"] = function(a, b) return math.pow(a, b) end,
  atan2 = function(a, b) return math.atan2(a, b) end,
}
local comparison = {
  ["=="] = function(a, b) return a == b end,
  ["!="] = function(a, b) return a ~= b end,
  ["<"] = function(a, b) return a < b end,
  ["<="] = function(a, b) return a <= b end,
  [">"] = function(a, b) return a > b end,
  [">="] = function(a, b) return a >= b end,
}
local metadata = { __name__ = true, __type__ = true, __unit__ = true }

local function copy(labels)
  local out = {}
  for name, value in pairs(labels) do out[name] = value end
  return out
end

local function fail(text) error({ text = text }, 0) end

function binary.scalars(op, a, b)
  if arithmetic[op] then return arithmetic[op](a, b) end
  return comparison[op](a, b) and 1 or 0
end

-- A vector with a number on one side.
function binary.with_scalar(node, vector, scalar, scalar_left)
  local out = {}
  for _, sample in ipairs(vector) do
    local a, b = sample.value, scalar
    if scalar_left then a, b = scalar, sample.value end
    if arithmetic[node.op] then
      out[#out + 1] = { labels = sample.labels, value = arithmetic[node.op](a, b), drop = true }
    else
      local keep = comparison[node.op](a, b)
      if node.bool then
        out[#out + 1] = { labels = sample.labels, value = keep and 1 or 0, drop = true }
      elseif keep then
        out[#out + 1] = sample
      end
    end
  end
  return out
end

local function set_of(list)
  local set = {}
  for _, name in ipairs(list) do set[name] = true end
  return set
end

-- The labels that two samples must share.
local function matching_labels(matching, labels)
  local listed, out = set_of(matching.labels), {}
  for name, value in pairs(labels) do
    if matching.on and listed[name] or not matching.on and not listed[name] and
      name ~= "__name__" then
      out[name] = value
    end
  end
  return out
end

function binary.key(labels)
  local parts = {}
  for name, value in pairs(labels) do parts[#parts + 1] = name .. "\1" .. value end
  table.sort(parts)
  return table.concat(parts, "\2")
end

function binary.sets(op, matching, left, right)
  local function keys(vector)
    local set = {}
    for _, sample in ipairs(vector) do
      set[binary.key(matching_labels(matching, sample.labels))] = true
    end
    return set
  end
  local out = {}
  local on_left, on_right = keys(left), keys(right)
  for _, sample in ipairs(left) do
    local there = on_right[binary.key(matching_labels(matching, sample.labels))]
    if op == "or" or (op == "and") == (there or false) then out[#out + 1] = sample end
  end
  if op == "or" then
    for _, sample in ipairs(right) do
      if not on_left[binary.key(matching_labels(matching, sample.labels))] then
        out[#out + 1] = sample
      end
    end
  end
  return out
end

-- 16.4; many and one are samples (one may be a filled one).
local function result_labels(node, many, one)
  local matching, labels = node.matching, copy(many.labels)
  if arithmetic[node.op] then
    for name in pairs(metadata) do labels[name] = nil end
  end
  if matching.card == "one-to-one" then
    local listed = set_of(matching.labels)
    for name in pairs(labels) do
      if matching.on ~= (listed[name] or false) then labels[name] = nil end
    end
    return labels
  end
  for _, name in ipairs(matching.include) do labels[name] = one.labels[name] end
  return labels
end

local function number_or_nil(text) return type(text) == "string" and tonumber(text) or nil end

function binary.vectors(node, left, right)
  local matching = node.matching
  local fill_left = number_or_nil(matching.fillValues.lhs)
  local fill_right = number_or_nil(matching.fillValues.rhs)
  local fills = fill_left or fill_right
  if (#left == 0 or #right == 0) and not fills or #left == 0 and #right == 0 then return {} end
  local swapped = matching.card == "one-to-many"
  if swapped then left, right = right, left end
  local index, matched, produced, out = {}, {}, {}, {}
  for _, sample in ipairs(right) do
    local key = binary.key(matching_labels(matching, sample.labels))
    if index[key] then fail("found duplicate series for the match group") end
    index[key] = sample
  end
  local function combine(key, many, one)
    local a, b = many.value, one.value
    if swapped then a, b = b, a end
    local value, keep = a, true
    if arithmetic[node.op] then value = arithmetic[node.op](a, b)
    else
      keep = comparison[node.op](a, b)
      if node.bool then value = keep and 1 or 0 end
    end
    local labels = result_labels(node, many, one)
    if matching.card == "one-to-one" then
      if produced[key] then fail("multiple matches for labels: many-to-one") end
      produced[key] = true
    else
      local result = key .. "\3" .. binary.key(labels)
      if produced[result] then fail("multiple matches for labels: grouping labels") end
      produced[result] = true
    end
    if keep or node.bool then
      out[#out + 1] = { labels = labels, value = value, drop = node.bool or false }
    end
  end
  for _, many in ipairs(left) do
    local labels = matching_labels(matching, many.labels)
    local key = binary.key(labels)
    local one = index[key]
    matched[key] = matched[key] or one ~= nil
    if not one and fill_right then one = { labels = labels, value = fill_right } end
    if one then combine(key, many, one) end
  end
  for _, one in ipairs(right) do
    local labels = matching_labels(matching, one.labels)
    local key = binary.key(labels)
    if fill_left and not matched[key] then combine(key, { labels = labels, value = fill_left }, one)
    end
  end
  return out
end

function binary.is_set(op) return op == "and" or op == "or" or op == "unless" end


return binary
