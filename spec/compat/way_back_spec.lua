-- The way back: what a clean stop leaves, read by the format's rules in Lua alone, without the C
-- code (spec/support/storage_v1.lua).
local engine = require "spec.unit.store.engine"
local check = require("spec.support.storage_v1").check

local FOREVER = 9223372036854775807LL
local now = 1700000000000

-- A day of use: new series, rounds, an archived one back, retention of nothing.
local function use(store)
  for k = 1, 400 do
    local entries = {}
    for i = 1, 5 do
      entries[i] = { { __name__ = "way_back", i = tostring(i) },
        { now - 4000000 + k * 1000, math.sin(k * 31 + i) * 1e6 } }
    end
    assert.equal(5, (store:push(entries)))
  end
  store:run "persist"
  store:push { { { __name__ = "young" }, { now, 1 } } }
  store:advance(2 * 3600000)
  store:run "maintain" -- closes and archives what came from heads.db
  store:run "persist"
  store:run "maintain"
  store:push { { { __name__ = "way_back", i = "1" }, { now + 1, 1 } } }
end

for _, name in ipairs { "clean-varbit", "archived", "collisions", "heads-v1", "dotfiles-only" } do
  describe("the folder " .. name, function()
    it("is by the format's rules after a clean stop, used or not", function()
      local folder = engine.folder()
      assert(os.execute(("tar -xzf spec/data/prom1x/%s.tar.gz -C %s"):format(name, folder)) == 0)
      local path = folder .. "/" .. name
      local function open()
        return assert(engine.open { data_dir = path, retention_ms = FOREVER, clock_ms = now })
      end
      local store = open()
      assert(store:close())
      check(path)
      store = open()
      use(store)
      local stats = store:stats()
      local active, archived = tonumber(stats.series_in_memory), tonumber(stats.series_archived)
      assert(store:close())
      local seen, count = check(path), 0
      for _ in pairs(seen) do count = count + 1 end
      assert.equal(active, count)
      assert.is_true(archived >= 4)
      engine.remove(folder)
    end)
  end)
end
