-- Kills stores and looks at what they leave (crash_store.c). A campaign is a folder that lives on
-- through many kills; every life in it is chosen by the campaign's seed alone, so a failing one is
-- run again by its seed.
local lfs = require "lfs"

local driver = {}
local build = os.getenv("BUILD") or "build"
local tool = build .. "/tools/crash_store"

local points = { "any", "wal.append", "wal.sync", "wal.remove", "heads.write", "heads.sync",
  "heads.rename", "heads.share", "series.append", "series.write", "series.sync", "series.rename",
  "series.remove", "series.truncate", "folder.sync", "all.sync", "table.write" }
-- How far into a life a point is met.
local reach = { any = 600, ["wal.append"] = 150, ["wal.sync"] = 150, ["series.append"] = 200,
  ["heads.write"] = 4, ["heads.sync"] = 4, ["heads.rename"] = 4, ["heads.share"] = 4,
  ["folder.sync"] = 12, ["all.sync"] = 8, ["table.write"] = 30, ["series.write"] = 30,
  ["series.sync"] = 30, ["series.rename"] = 30, ["series.remove"] = 4, ["series.truncate"] = 4,
  ["wal.remove"] = 6 }

-- A small generator of our own: math.random is not the same everywhere.
local function generator(seed)
  local state = (seed * 2654435761 + 12345) % 4294967296
  return function(n)
    state = (state * 1664525 + 1013904223) % 4294967296
    return math.floor(state / 4294967296 * n)
  end
end

local function capture(command)
  local pipe = io.popen(command .. " 2>&1; echo status=$?")
  local text = pipe:read("*a")
  pipe:close()
  return text, tonumber(text:match("status=(%d+)%s*$"))
end

local function fresh_folder()
  local name = os.tmpname()
  os.remove(name)
  local base = lfs.attributes("/dev/shm") and "/dev/shm/" .. name:match("[^/]+$") or name
  return base
end

-- options: mode ("always", ...), style ("exact", "storm", nil: both), forget (drop what was not
-- synced), kills, seed, keep (the folder stays after a failure).
-- Returns counts { kills, points = {...}, answered, forgotten } or nil and a text.
function driver.campaign(options)
  local random = generator(options.seed)
  local folder = fresh_folder()
  local ledger = folder .. ".ledger"
  local count = { kills = 0, by_point = {}, by_time = 0, answered = 0 }
  local history = {}
  local function finish(problem)
    if problem == nil or not os.getenv("KEEP") then
      os.execute(("rm -rf %s %s.undo %s"):format(folder, folder, ledger))
    end
    if problem == nil then return count end
    return nil, ("%s\nmode=%s forget=%s; run it again: SEED=%d KILLS=%d MODE=%s%s make crash" ..
      "\n%s"):format(problem, options.mode, tostring(options.forget), options.seed,
      options.kills, options.mode, options.forget and " FORGET=1" or "",
      table.concat(history, "\n"))
  end

  for life = 1, options.kills + 1 do
    local last = life > options.kills
    local style = options.style or (random(3) == 0 and "storm" or "exact")
    local seed, rounds = random(1e9), 10 + random(40)
    local command = ("%s run %s %s %d %s %s %d"):format(tool, folder, ledger, seed, options.mode,
      style, last and 0 or rounds)
    local how
    if not last and random(4) ~= 0 then
      local point = points[1 + random(#points)]
      local when = ({ "before", "torn", "after" })[1 + random(3)]
      local nth = 1 + random(reach[point])
      how = point
      command = ("%s %s %d %s"):format(command, point, nth, when)
    elseif not last and style == "storm" then
      how = "time"
      command = ("timeout -s KILL 0.%03d %s"):format(20 + random(200), command)
    else
      how = "end"
    end
    history[#history + 1] = command
    local text, status = capture(command)
    local opened = text:match("opened ([^\n]*)")
    if status ~= 137 then
      return finish(("life %d ended with status %s:\n%s"):format(life, tostring(status), text))
    end
    if opened then
      count.answered = tonumber(opened:match("answered=(%d+)"))
    elseif last then
      return finish("the last life did not open:\n" .. text)
    end
    if last then break end
    count.kills = count.kills + 1
    count.by_point[how] = (count.by_point[how] or 0) + 1
    if options.forget then
      local forgot = ("%s forget %s %d"):format(tool, folder, random(1e9))
      history[#history + 1] = forgot
      local told, code = capture(forgot)
      if code ~= 0 then return finish(told) end
    else
      capture(("%s settle %s"):format(tool, folder))
    end
  end
  return finish(nil)
end

-- Campaigns of `per` kills until `kills` are done. Returns totals, or nil and the first failure.
function driver.campaigns(options, kills, per, tell)
  local total = { kills = 0, answered = 0, by_point = {} }
  local seed = options.seed
  while total.kills < kills do
    local one, problem = driver.campaign {
      mode = options.mode, style = options.style, forget = options.forget, seed = seed,
      kills = math.min(per, kills - total.kills),
    }
    if not one then return nil, problem end
    total.kills = total.kills + one.kills
    total.answered = total.answered + one.answered
    for point, n in pairs(one.by_point) do
      total.by_point[point] = (total.by_point[point] or 0) + n
    end
    if tell then tell(total) end
    seed = seed + 1
  end
  return total
end

return driver
