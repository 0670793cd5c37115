-- Stores that are killed at fault points and at any time: what was answered is there, once.
--
-- make crash RUNS=500 does more of it; SEED=, KILLS=, MODE= and FORGET=1, as a failure prints them,
-- run one campaign again.
local driver = require "spec.crash.driver"

local kills = tonumber(os.getenv("RUNS") or "") or (os.getenv("LONG") == "1" and 100 or 20)
local seed = tonumber(os.getenv("SEED") or "") or os.time()
local PER_FOLDER = 20

local function passes(options)
  options.seed = seed
  local total, problem = driver.campaigns(options, kills, PER_FOLDER)
  assert(total, problem)
  assert.is_true(total.kills >= kills and total.answered > 0)
  if os.getenv("RUNS") then
    print(("\n%s%s: %d kills, %d answered samples there, 0 lost, 0 wrong, 0 doubled"):format(
      options.mode, options.forget and ", unsynced forgotten" or "", total.kills, total.answered))
  end
end

describe("a store that is killed (seed " .. seed .. ")", function()
  if os.getenv("MODE") then
    it("is run again", function()
      assert(driver.campaign {
        seed = seed, kills = tonumber(os.getenv("KILLS") or PER_FOLDER),
        mode = os.getenv("MODE"), forget = os.getenv("FORGET") == "1",
      })
    end)
    return
  end

  for _, mode in ipairs { "always", "interval" } do
    it("keeps what it answered, once, with wal.sync " .. mode, function()
      passes { mode = mode }
    end)
  end

  it("keeps with wal.sync always what it answered, when everything unsynced is forgotten",
    function() passes { mode = "always", forget = true } end)
end)
