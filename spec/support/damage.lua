-- Ways to damage a data folder of storage version 1, each with what it may cost. A damage is a
-- function(path, random) that changes files below `path` and returns { lost = f(fp, time) -> bool,
-- wrong = f(fp, time) -> bool, what = text }: samples that may be missing, and those whose value no
-- check of the format can vouch for. `nil`: it does not fit the folder.
local layout = require "spec.support.layout"

local damage = {}

local function nothing() return false end

local function write(path, bytes)
  local file = assert(io.open(path, "wb"))
  file:write(bytes)
  file:close()
end

local function garbage(random, len)
  local out = {}
  for i = 1, len do out[i] = string.char(random(256) - 1) end
  return table.concat(out)
end

-- Writes without changing the modification time, as damage by the medium does.
local function write_quietly(path, bytes)
  os.execute(("touch -r '%s' '%s.time'"):format(path, path))
  write(path, bytes)
  os.execute(("touch -r '%s.time' '%s'; rm '%s.time'"):format(path, path, path))
end

local function shell(text, ...) assert(os.execute(text:format(...)) == 0, text) end

-- Series files of a folder: { path, fp, chunks }, sorted.
local function series_files(path)
  local pipe = io.popen("cd " .. path .. " && find . -type f -name '*.db' -path './??/*' | sort")
  local files = {}
  for name in pipe:lines() do
    local folder, rest = name:match("^%./(%x%x)/(%x+)%.db$")
    if folder and #rest == 14 then
      local full = layout.file_of(path, folder .. rest)
      files[#files + 1] = { path = full, fp = folder .. rest, chunks = layout.file_chunks(full) }
    end
  end
  pipe:close()
  return files
end

local function any_file(path, random, min_chunks)
  local fit = {}
  for _, file in ipairs(series_files(path)) do
    if #file.chunks >= (min_chunks or 1) then fit[#fit + 1] = file end
  end
  return fit[random(#fit)], fit
end

-- The samples of records `from` to `to` (1 is the first) of a file.
local function records(file, from, to)
  return function(fp, time)
    if fp ~= file.fp then return false end
    for i = from, math.min(to or from, #file.chunks) do
      if time >= file.chunks[i].first and time <= file.chunks[i].last then return true end
    end
    return false
  end
end

-- Is a sample in no series file? Such samples are in heads.db only.
local function only_in_heads(path, fps)
  local chunks = {}
  for _, file in ipairs(series_files(path)) do chunks[file.fp] = file.chunks end
  return function(fp, time)
    if fps and not fps[fp] then return false end
    for _, chunk in ipairs(chunks[fp] or {}) do
      if time >= chunk.first and time <= chunk.last then return false end
    end
    return true
  end
end

-- --- series files --------------------------------------------------------------------------------

function damage.file_cut(path, random)
  local file = any_file(path, random)
  local R, n = layout.RECORD, #file.chunks
  local whole = (random(n) - 1) * R
  local sizes = { 0, 1, 16, 17, R - 1, whole, whole + 1, whole + 17, whole + R - 1 }
  local size = sizes[random(#sizes)]
  local bytes = layout.slurp(file.path):sub(1, size)
  write(file.path, bytes)
  return { what = ("%s cut to %d of %d"):format(file.fp, size, n * R),
    lost = records(file, math.floor(size / R) + 1, n) }
end

function damage.file_tail(path, random)
  local file = any_file(path, random)
  local len = random(3000)
  local tail = random(2) == 1 and garbage(random, len) or ("\0"):rep(len)
  write(file.path, layout.slurp(file.path) .. tail)
  return { what = ("%s with %d bytes behind it"):format(file.fp, len), lost = nothing }
end

function damage.file_doubled(path, random)
  local file = any_file(path, random)
  local bytes = layout.slurp(file.path)
  write(file.path, bytes .. bytes)
  return { what = file.fp .. " twice", lost = nothing }
end

local function overwrite(quiet)
  return function(path, random)
    local file = any_file(path, random)
    local R, bytes = layout.RECORD, layout.slurp(file.path)
    local k = random(#file.chunks)
    local kinds = { garbage(random, R), ("\0"):rep(R), ("\255"):rep(R),
      bytes:sub((k - 1) * R + 1, (k - 1) * R + 1) .. garbage(random, 16) ..
        bytes:sub((k - 1) * R + 18, k * R) }
    local kind = random(#kinds)
    local changed = bytes:sub(1, (k - 1) * R) .. kinds[kind] .. bytes:sub(k * R + 1)
    if quiet then write_quietly(file.path, changed) else write(file.path, changed) end
    return { what = ("%s, record %d of %d overwritten (%d)"):format(file.fp, k, #file.chunks, kind),
      lost = records(file, k), wrong = records(file, k) }
  end
end
damage.record = overwrite(false)
damage.record_quietly = overwrite(true)

function damage.byte_flipped(path, random)
  local file = any_file(path, random)
  local bytes = layout.slurp(file.path)
  local at = random(#bytes)
  local flipped = bit.bxor(bytes:byte(at), bit.lshift(1, random(8) - 1))
  local k = math.floor((at - 1) / layout.RECORD) + 1
  local quiet = random(2) == 1
  local changed = bytes:sub(1, at - 1) .. string.char(flipped) .. bytes:sub(at + 1);
  (quiet and write_quietly or write)(file.path, changed)
  return { what = ("%s, byte %d of record %d flipped%s"):format(file.fp,
    (at - 1) % layout.RECORD, k, quiet and " quietly" or ""),
    lost = records(file, k), wrong = records(file, k) }
end

function damage.file_gone(path, random)
  local file = any_file(path, random)
  os.remove(file.path)
  return { what = file.fp .. " removed", lost = records(file, 1, #file.chunks) }
end

function damage.file_is_folder(path, random)
  local file = any_file(path, random)
  shell("rm '%s' && mkdir -p '%s/sub'", file.path, file.path)
  return { what = file.fp .. " is a folder", lost = records(file, 1, #file.chunks) }
end

function damage.file_is_pipe(path, random)
  local file = any_file(path, random)
  shell("rm '%s' && mkfifo '%s'", file.path, file.path)
  return { what = file.fp .. " is a pipe", lost = records(file, 1, #file.chunks) }
end

function damage.folder_is_file(path, random)
  local file = any_file(path, random)
  local folder = file.path:match("^(.*)/")
  local gone = {}
  for _, one in ipairs(series_files(path)) do
    if one.path:match("^(.*)/") == folder then gone[#gone + 1] = records(one, 1, #one.chunks) end
  end
  shell("rm -r '%s' && echo x > '%s'", folder, folder)
  return { what = folder:match("[^/]+$") .. " is a file", lost = function(fp, time)
    for _, lost in ipairs(gone) do
      if lost(fp, time) then return true end
    end
    return false
  end }
end

-- --- heads.db ------------------------------------------------------------------------------------

local function heads_of(path)
  local bytes = layout.slurp(path .. "/heads.db")
  local ok, heads, version = pcall(layout.read_heads, bytes)
  if ok then return bytes, heads, version end
  return bytes, nil
end

-- A mapped fingerprint proves nothing: a flip may make another one of it, and then its file has no
-- owner (the original loses it likewise).
local function or_mapped(fps, lost)
  return function(fp, time) return lost(fp, time) or (fps[fp] and fp < "0000000000100001") end
end

-- Fingerprints of the records that touch [from, to) of heads.db.
local function touched(heads, from, to)
  local fps = {}
  for _, one in ipairs(heads) do
    if one.to > from and one.from < to then fps[one.fp] = true end
  end
  return fps
end

function damage.heads_cut(path, random)
  local bytes, heads = heads_of(path)
  if not heads or #heads == 0 then return nil end
  local one = heads[random(#heads)]
  local sizes = { 0, 7, 15, 16, 20, 24, one.from, one.from + 1, one.from + 9, one.to - 1,
    one.from + random(one.to - one.from) }
  local size = sizes[random(#sizes)]
  write(path .. "/heads.db", bytes:sub(1, size))
  return { what = ("heads.db cut to %d of %d"):format(size, #bytes),
    lost = only_in_heads(path, touched(heads, size, #bytes)) }
end

function damage.heads_gone(path)
  shell("rm '%s/heads.db'", path)
  return { what = "heads.db removed", lost = only_in_heads(path) }
end

function damage.heads_tail(path, random)
  local bytes = layout.slurp(path .. "/heads.db")
  if not select(2, heads_of(path)) then return nil end
  write(path .. "/heads.db", bytes .. garbage(random, random(3000)))
  return { what = "heads.db with a tail", lost = nothing }
end

function damage.heads_count(path, random)
  local bytes, heads = heads_of(path)
  if not heads then return nil end
  local counts = { ("\255"):rep(8), ("\0"):rep(8), ("\0"):rep(7) .. string.char(random(255)) }
  write(path .. "/heads.db", bytes:sub(1, 16) .. counts[random(3)] .. bytes:sub(25))
  return { what = "the count of heads.db", lost = nothing }
end

function damage.heads_flipped(path, random)
  local bytes, heads = heads_of(path)
  if not heads or #heads == 0 then return nil end
  local at = random(#bytes - 24) + 24
  local flipped = string.char(bit.bxor(bytes:byte(at), random(255)))
  write(path .. "/heads.db", bytes:sub(1, at - 1) .. flipped .. bytes:sub(at + 1))
  local fps = touched(heads, at - 1, at)
  local lost = or_mapped(fps, only_in_heads(path, fps))
  return { what = "heads.db, byte " .. at, lost = lost, wrong = lost }
end

function damage.heads_overwritten(path, random)
  local bytes, heads = heads_of(path)
  if not heads or #heads == 0 then return nil end
  local at, len = random(#bytes), random(2000)
  len = math.min(len, #bytes - at + 1)
  write(path .. "/heads.db", bytes:sub(1, at - 1) .. garbage(random, len) .. bytes:sub(at + len))
  local fps = touched(heads, at - 1, at - 1 + len)
  local lost = or_mapped(fps, only_in_heads(path, fps))
  return { what = ("heads.db, %d bytes from %d"):format(len, at), lost = lost, wrong = lost }
end

-- --- the rest ------------------------------------------------------------------------------------

local indexes = { "archived_fingerprint_to_metric", "archived_fingerprint_to_timerange",
  "labelname_to_labelvalues", "labelpair_to_fingerprints" }

function damage.index(path, random)
  local name = indexes[random(4)]
  local folder = path .. "/" .. name
  local kinds = {
    "rm -r %s",
    "rm %s/CURRENT",
    "rm %s/MANIFEST-*",
    "echo MANIFEST-999999 > %s/CURRENT",
    "f=$(ls -S %s/MANIFEST-* | head -1); printf 'xxxxxxxxxxxxxxxxxxxx' > $f",
    "echo x > %s/CURRENT",
    "f=$(ls -S %s/*.log | head -1); truncate -s -7 $f",
    "f=$(ls -S %s/*.ldb %s/*.sst 2>/dev/null | head -1); [ -z \"$f\" ] || " ..
      "printf 'garbage garbage garbage' | dd of=$f bs=1 seek=20 conv=notrunc 2>/dev/null",
    "f=$(ls -S %s/*.log | head -1); " ..
      "printf 'garbage garbage garbage' | dd of=$f bs=1 seek=20 conv=notrunc 2>/dev/null",
    "rm %s && echo x > %s",
  }
  local kind = random(#kinds)
  if kind == 10 then kinds[10] = "rm -r %s && echo x > %s" end
  os.execute((kinds[kind]:gsub("%%s", folder)))
  return { what = name .. ": " .. kinds[kind], lost = nothing }
end

function damage.strangers(path, random)
  local file = any_file(path, random)
  local folder = file.path:match("^(.*)/")
  shell("echo x > '%s.tmp' && echo x > '%s/notes.txt' && mkdir -p '%s/sub/sub' '%s/zz' && " ..
    "ln -s /etc/passwd '%s/link.db' && echo x > '%s/zz/a.db' && echo x > '%s/README' && " ..
    "cp '%s' '%s.bak' && mkfifo '%s/pipe.db'", file.path, folder, folder, path, folder, path,
    path, file.path, file.path, folder)
  return { what = "strange files", lost = nothing }
end

function damage.mappings(path, random)
  local file = io.open(path .. "/mappings.db", "rb") -- old folders have none
  if not file then return nil end
  local bytes = file:read("*a")
  file:close()
  local kinds = { nil, "", bytes:sub(1, random(#bytes) - 1), garbage(random, 40), "x" .. bytes }
  local kind = random(5)
  if kind == 1 then
    os.remove(path .. "/mappings.db")
  else
    write(path .. "/mappings.db", kinds[kind])
  end
  return { what = "mappings.db " .. (kinds[kind] and #kinds[kind] .. " bytes" or "removed"),
    lost = nothing, mappings = true }
end

function damage.marker(path)
  write(path .. "/DIRTY", "")
  return { what = "DIRTY", lost = nothing }
end

function damage.times(path)
  shell("find '%s' -name '*.db' -exec touch -d 2020-01-01 {} +", path)
  return { what = "other times", lost = nothing }
end

damage.kinds = {}
for name, call in pairs(damage) do
  if type(call) == "function" then damage.kinds[#damage.kinds + 1] = name end
end
table.sort(damage.kinds)

return damage
