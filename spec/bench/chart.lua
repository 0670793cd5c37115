-- Bars as SVG, readable on light and dark pages.
local chart = {}

local colours = { "#0a7f8c", "#b9770e", "#8e5ea2" }
local LEFT, WIDTH, BAR, GAP, TOP = 12, 760, 14, 34, 34

local function escape(text)
  return (text:gsub("[&<>\"]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;",
    ['"'] = "&quot;" }))
end

-- Names of the servers in a row, each behind its colour.
local function put_names(put, names, left, y)
  for i, name in ipairs(names) do
    local x = left + (i - 1) * 170
    put('<rect x="%d" y="%d" width="12" height="12" fill="%s"/>', x, y - 11, colours[i])
    put('<text x="%d" y="%d">%s</text>', x + 18, y, escape(name))
  end
end

--- One group of bars a row, each relative to the largest of its row: shorter is better.
---@param rows table list of { key, title, format }
---@param names table list of servers
---@param result table by name and key
---@return string svg
function chart.bars(rows, names, result)
  local out, y = {}, TOP
  local function put(...) out[#out + 1] = (...):format(select(2, ...)) end
  put_names(put, names, LEFT, 21)
  for _, row in ipairs(rows) do
    local largest = 0
    for _, name in ipairs(names) do largest = math.max(largest, result[name][row[1]] or 0) end
    if largest > 0 then
      y = y + 20
      put('<text x="%d" y="%d" class="title">%s</text>', LEFT, y, escape(row[2]))
      y = y + 6
      for i, name in ipairs(names) do
        local value = result[name][row[1]]
        if value then
          local width = math.max(2, value / largest * (WIDTH - 110))
          put('<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>', LEFT, y, width, BAR - 2,
            colours[i])
          put('<text x="%.1f" y="%d">%s</text>', LEFT + width + 6, y + BAR - 4,
            row[3]:format(value))
          y = y + BAR
        end
      end
      y = y + GAP - 20
    end
  end
  return ('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" ' ..
    'font-size="12"><style>text{fill:#333}.title{font-weight:bold}@media (prefers-color-scheme:' ..
    'dark){text{fill:#ddd}}</style>\n%s\n</svg>\n'):format(WIDTH + 24, y + 10,
    table.concat(out, "\n"))
end

--- Curves over a logarithmic x: one line a server.
---@param points function name -> list of { x, y }
---@return string svg
function chart.lines(x_title, y_title, names, points)
  local WIDE, HIGH, EDGE = 640, 260, 50
  local out, x_min, x_max, y_max = {}, math.huge, 0, 0
  local function put(...) out[#out + 1] = (...):format(select(2, ...)) end
  for _, name in ipairs(names) do
    for _, point in ipairs(points(name)) do
      x_min, x_max = math.min(x_min, point[1]), math.max(x_max, point[1])
      y_max = math.max(y_max, point[2])
    end
  end
  local function x_of(x)
    return EDGE + (x_max > x_min and math.log(x / x_min) / math.log(x_max / x_min) or 0) * WIDE
  end
  local function y_of(y) return TOP + HIGH - (y_max > 0 and y / y_max or 0) * HIGH end
  put('<path d="M%d %d V%d H%d" stroke="#888" fill="none"/>', EDGE, TOP, TOP + HIGH, EDGE + WIDE)
  put('<text x="4" y="%d">%s, up to %.2f</text>', 14, escape(y_title), y_max)
  put('<text x="%d" y="%d">%s</text>', EDGE + WIDE - 40, TOP + HIGH + 36, escape(x_title))
  for i, name in ipairs(names) do
    local path = {}
    for k, point in ipairs(points(name)) do
      local x, y = x_of(point[1]), y_of(point[2])
      path[k] = ("%s%.1f %.1f"):format(k == 1 and "M" or "L", x, y)
      put('<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>', x, y, colours[i])
      put('<text x="%.1f" y="%.1f">%.2f</text>', x + 5, y - 5, point[2])
      if i == 1 then put('<text x="%.1f" y="%d">%d</text>', x - 12, TOP + HIGH + 18, point[1]) end
    end
    put('<path d="%s" stroke="%s" stroke-width="2" fill="none"/>', table.concat(path, " "),
      colours[i])
  end
  put_names(put, names, EDGE + 10, TOP + HIGH + 36)
  return ('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" ' ..
    'font-size="12"><style>text{fill:#333}@media (prefers-color-scheme:dark){text{fill:#ddd}}' ..
    '</style>\n%s\n</svg>\n'):format(WIDE + 2 * EDGE, TOP + HIGH + 46, table.concat(out, "\n"))
end

return chart
