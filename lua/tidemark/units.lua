-- Durations ("15d", "1h30m") and sizes ("2GiB") as texts and as numbers.
--
-- Everything here works on its arguments only. Texts are those of Prometheus for durations; sizes
-- take binary (KiB, MiB) and decimal (kB, MB) units.

local byte, find, format, match, sub = string.byte, string.find, string.format, string.match,
  string.sub
local floor = math.floor

local units = {}

local MS = { ms = 1, s = 1000, m = 60000, h = 3600000, d = 86400000, w = 7 * 86400000,
  y = 365 * 86400000 }
local RANK = { y = 7, w = 6, d = 5, h = 4, m = 3, s = 2, ms = 1 }

--- Milliseconds of a duration: "15d", "1h30m", "500ms", "1.5h"; nil when it is none.
--- Units go from large to small, each at most once, as Prometheus asks.
---@param text string
---@return number|nil milliseconds, a whole number below 2^53
function units.duration(text)
  if text == "0" then return 0 end
  local total, position, rank = 0, 1, 8
  while position <= #text do
    local first, last, number, unit = find(text, "^(%d+%.?%d*)(%a+)", position)
    if not first or not MS[unit] or RANK[unit] >= rank then return nil end
    rank = RANK[unit]
    total = total + tonumber(number) * MS[unit]
    position = last + 1
  end
  if position == 1 or total >= 2 ^ 53 then return nil end
  return floor(total + 0.5)
end

--- The shortest text of a number of milliseconds that reads back the same: 5400000 is "1h30m".
---@param ms number whole, not negative
---@return string
function units.duration_text(ms)
  if ms == 0 then return "0s" end
  -- Years and weeks only when nothing is left over: 15 days are "15d", not "2w1d".
  for _, unit in ipairs { "y", "w" } do
    if ms % MS[unit] == 0 then return format("%d%s", ms / MS[unit], unit) end
  end
  local text = ""
  for _, unit in ipairs { "d", "h", "m", "s", "ms" } do
    local count = floor(ms / MS[unit])
    if count > 0 then
      text = text .. format("%d%s", count, unit)
      ms = ms - count * MS[unit]
    end
  end
  return text
end

local BYTES = { [""] = 1, B = 1 }
for i, letter in ipairs { "K", "M", "G", "T", "P" } do
  BYTES[letter .. "iB"] = 1024 ^ i
  BYTES[letter .. "B"] = 1000 ^ i
end
BYTES.kB = 1000

--- Bytes of a size: "2GiB", "64kB", "1.5MiB", "4096"; nil when it is none.
---@param text string
---@return number|nil bytes, whole
function units.size(text)
  local number, unit = match(text, "^(%d+%.?%d*) ?(%a*)$")
  if not number or not BYTES[unit] then return nil end
  local bytes = tonumber(number) * BYTES[unit]
  if bytes >= 2 ^ 53 or bytes ~= floor(bytes) then return nil end
  return bytes
end

--- The shortest exact text of a number of bytes: 2147483648 is "2GiB".
---@param bytes number whole, not negative
---@return string
function units.size_text(bytes)
  for i = 5, 1, -1 do
    local unit = sub("KMGTP", i, i) .. "iB"
    if bytes >= BYTES[unit] and bytes % BYTES[unit] == 0 then
      return format("%d%s", bytes / BYTES[unit], unit)
    end
  end
  return format("%d", bytes)
end

--- How far two words are apart: changes of one letter, swaps of two neighbours included.
---@param a string
---@param b string
---@return integer
function units.distance(a, b)
  local rows = {}
  for i = 0, #a do rows[i] = { [0] = i } end
  for j = 0, #b do rows[0][j] = j end
  for i = 1, #a do
    for j = 1, #b do
      local same = byte(a, i) == byte(b, j) and 0 or 1
      local best = math.min(rows[i - 1][j] + 1, rows[i][j - 1] + 1, rows[i - 1][j - 1] + same)
      if i > 1 and j > 1 and byte(a, i) == byte(b, j - 1) and byte(a, i - 1) == byte(b, j) then
        best = math.min(best, rows[i - 2][j - 2] + 1)
      end
      rows[i][j] = best
    end
  end
  return rows[#a][#b]
end

--- The word of the list that is nearest, if it is near enough to be meant.
---@param word string
---@param list string[]
---@return string|nil
function units.nearest(word, list)
  local best, best_distance = nil, math.max(2, floor(#word / 3)) + 1
  for _, candidate in ipairs(list) do
    local distance = units.distance(word, candidate)
    if distance < best_distance then best, best_distance = candidate, distance end
  end
  return best
end

return units
