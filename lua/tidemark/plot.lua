-- plot(): a chart of a range query in braille dots, with axes and a legend.

local tide = require("tidemark.tide").tide
local pretty = require "tidemark.pretty"

local floor, format, huge, max, min, rep = math.floor, string.format, math.huge, math.max, math.min,
  string.rep

local COLUMNS, ROWS = 72, 14
local WIDTH, HEIGHT = COLUMNS * 2, ROWS * 4
local LEGEND = 8
-- The dots of a braille cell, by column and row in it (Unicode, "Braille Patterns").
local DOTS = { [0] = { [0] = 1, 2, 4, 64 }, { [0] = 8, 16, 32, 128 } }

-- U+2800 + bits in UTF-8.
local function braille(bits)
  return string.char(226, 160 + floor(bits / 64), 128 + bits % 64)
end

local function set_dot(grid, x, y)
  local at = floor(y / 4) * COLUMNS + floor(x / 2)
  local dot = DOTS[x % 2][y % 4]
  local bits = grid[at] or 0
  if floor(bits / dot) % 2 == 0 then grid[at] = bits + dot end
end

-- A straight line between two points, dot by dot.
local function draw_line(grid, x1, y1, x2, y2)
  local steps = max(math.abs(x2 - x1), math.abs(y2 - y1), 1)
  for i = 0, steps do
    set_dot(grid, floor(x1 + (x2 - x1) * i / steps + 0.5), floor(y1 + (y2 - y1) * i / steps + 0.5))
  end
end

local function is_finite(value) return value == value and value ~= huge and value ~= -huge end

local function bounds(answer)
  local low, high = huge, -huge
  for _, series in ipairs(answer) do
    for i = 1, #series.values do
      local value = series.values[i]
      if is_finite(value) then low, high = min(low, value), max(high, value) end
    end
  end
  if low == high then low, high = low - 1, high + 1 end
  return low, high
end

local function draw_series(grid, series, from, to, low, high)
  local before_x, before_y, before_time
  local step = (to - from) / (WIDTH - 1)
  for i = 1, #series.values do
    local time, value = series.times[i], series.values[i]
    if is_finite(value) then
      local x = floor((time - from) / (to - from) * (WIDTH - 1) + 0.5)
      local y = floor((high - value) / (high - low) * (HEIGHT - 1) + 0.5)
      if before_x and time - before_time < step * 1.5 then
        draw_line(grid, before_x, before_y, x, y)
      else
        set_dot(grid, x, y)
      end
      before_x, before_y, before_time = x, y, time
    else
      before_x = nil
    end
  end
end

local function number(value) return format("%.5g", value) end

-- Lines of the chart with the value axis at the left and the times below.
local function render(grid, low, high, from, to)
  local labels = { [0] = number(high), [floor(ROWS / 2)] = number((low + high) / 2),
    [ROWS - 1] = number(low) }
  local margin, lines = 0, {}
  for _, label in pairs(labels) do margin = max(margin, #label) end
  for row = 0, ROWS - 1 do
    local cells = {}
    for column = 0, COLUMNS - 1 do
      cells[column + 1] = braille(grid[row * COLUMNS + column] or 0)
    end
    local label = labels[row] or ""
    lines[#lines + 1] = rep(" ", margin - #label) .. label .. (labels[row] and " ┤" or " │") ..
      table.concat(cells)
  end
  lines[#lines + 1] = rep(" ", margin) .. " └" .. rep("─", COLUMNS)
  local first, last = pretty.time(floor(from)), pretty.time(floor(to))
  lines[#lines + 1] = rep(" ", margin + 2) .. first .. rep(" ", COLUMNS - #first - #last) .. last
  return lines
end

local function put_legend(lines, answer)
  for i, series in ipairs(answer) do
    if i > LEGEND then
      lines[#lines + 1] = format("  and %d more", #answer - LEGEND)
      break
    end
    lines[#lines + 1] = format("  %s  last %s", pretty.series_name(series.labels),
      number(series.values[#series.values]))
  end
end

--- Draws the last `seconds`.
return function(promql, seconds)
  local to = tide.now()
  local from = to - seconds
  local answer = tide.query(promql,
    { from = from, to = to, step = format("%dms", math.ceil((to - from) / (WIDTH - 1) * 1000)) })
  if type(answer) ~= "table" or #answer == 0 then return native.print("nothing to draw\n") end
  local low, high = bounds(answer)
  if low == huge then return native.print("nothing finite to draw\n") end
  local grid = {}
  for _, series in ipairs(answer) do draw_series(grid, series, from, to, low, high) end
  local lines = render(grid, low, high, from, to)
  put_legend(lines, answer)
  native.print(table.concat(lines, "\n") .. "\n")
end
