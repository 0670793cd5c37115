-- What becomes of samples: accepted, refused with a reason, and read back.
local engine = require "spec.unit.store.engine"

local T = 1600000000000 -- the clock of engine.open
local function metric(labels)
  labels.__name__ = labels.__name__ or "m"
  return labels
end

describe("a push", function()
  local store

  before_each(function() store = assert(engine.open { out_of_order_ms = 0 }) end)
  after_each(function() if store.store then assert.is_true(store:close()) end end)

  it("is read back sample by sample", function()
    local accepted, refused = store:push {
      { metric { a = "1" }, { T, 1.5 }, { T + 1, -2 } },
      { metric { a = "2" }, { T, 7 } },
    }
    assert.equal(3, accepted)
    assert.same({}, refused)
    assert.same({
      ['{__name__="m", a="1"}'] = { { T, 1.5 }, { T + 1, -2 } },
      ['{__name__="m", a="2"}'] = { { T, 7 } },
    }, store:query { { "__name__", "=", "m" } })
  end)

  it("goes on in the same series however the labels are ordered", function()
    store:push { { { { "__name__", "m" }, { "z", "1" }, { "b", "2" } }, { T, 1 } } }
    store:push { { { { "b", "2" }, { "z", "1" }, { "__name__", "m" } }, { T + 1, 2 } } }
    assert.same({ ['{__name__="m", b="2", z="1"}'] = { { T, 1 }, { T + 1, 2 } } },
      store:query { { "b", "=", "2" } })
    assert.equal(1, tonumber(store:stats().series_in_memory))
  end)

  it("treats an empty value as no label", function()
    store:push { { metric { a = "1", gone = "" }, { T, 1 } } }
    assert.same({ '{__name__="m", a="1"}' }, store:names { { "gone", "=", "" } })
  end)

  it("takes identical repeats and refuses other values for the newest time", function()
    store:push { { metric {}, { T, 5 } } }
    local accepted, refused, examples = store:push { { metric {}, { T, 5 }, { T, 6 } } }
    assert.equal(1, accepted)
    assert.same({ duplicate_timestamp = 1 }, refused)
    assert.truthy(examples[1]:find("1600000000000", 1, true))
    assert.same({ ['{__name__="m"}'] = { { T, 5 } } }, store:query { { "__name__", "=", "m" } })
  end)

  it("takes a repeated NaN for identical", function()
    store:push { { metric {}, { T, 0 / 0 } } }
    assert.equal(1, (store:push { { metric {}, { T, 0 / 0 } } }))
  end)

  it("refuses older samples and keeps the good ones of the same series", function()
    local accepted, refused = store:push { { metric {}, { T, 1 }, { T - 1, 2 }, { T + 1, 3 } } }
    assert.equal(2, accepted)
    assert.same({ out_of_order = 1 }, refused)
  end)

  it("refuses what is later than ten minutes from now", function()
    local accepted, refused = store:push {
      { metric {}, { T + 600000, 1 }, { T + 600001, 2 } },
    }
    assert.equal(1, accepted)
    assert.same({ too_far_in_future = 1 }, refused)
  end)

  it("refuses labels with their reason, again from memory, and stores the others", function()
    local bad = {
      { { { "__name__", "m" }, { "a", "1" }, { "a", "\255" } }, "not valid UTF%-8" },
      { { { "a", "1" } }, "no metric name" },
      { { { "__name__", "m" }, { "", "1" } }, "without a name" },
      { { { "__name__", "m" }, { "\254", "1" } }, "name is not valid UTF%-8" },
      { { { "__name__", "m" }, { ("n"):rep(1025), "1" } }, "1025 bytes" },
      { { { "__name__", "m" }, { "a", ("v"):rep(4097) } }, "4097 bytes" },
    }
    for _ = 1, 2 do
      for _, case in ipairs(bad) do
        local accepted, refused, examples = store:push {
          { case[1], { T, 1 }, { T + 1, 1 } }, { metric { good = "1" }, { T, 1 } },
        }
        assert.equal(1, accepted)
        assert.same({ invalid_labels = 2 }, refused)
        assert.truthy(examples[1]:find(case[2]), examples[1])
      end
    end
    assert.equal(1, tonumber(store:stats().series_in_memory))
    assert.same({ "__name__", "good" }, store:label_names())
  end)

  it("refuses a block that is cut off", function()
    local accepted, refused, examples = store:push { { "\8__name__\5m", { T, 1 } } }
    assert.equal(0, accepted)
    assert.same({ invalid_labels = 1 }, refused)
    assert.truthy(examples[1]:find("cut off"))
  end)

  it("counts all refusals and shows the first ten", function()
    local entries = {}
    for i = 1, 30 do entries[i] = { { { "a", tostring(i) } }, { T, 1 } } end
    local _, refused, examples = store:push(entries)
    assert.same({ invalid_labels = 30 }, refused)
    assert.equal(10, #examples)
  end)
end)

describe("limits", function()
  it("bound the series, not the samples of known ones", function()
    local store = assert(engine.open { limits = { max_series = 2 } })
    store:push { { metric { a = "1" }, { T, 1 } }, { metric { a = "2" }, { T, 1 } } }
    local accepted, refused = store:push {
      { metric { a = "1" }, { T + 1, 1 } }, { metric { a = "3" }, { T, 1 } },
    }
    assert.equal(1, accepted)
    assert.same({ series_limit = 1 }, refused)
    assert.same({ "1", "2" }, store:label_values("a"))
    store:close()
  end)

  it("bound the number of labels", function()
    local store = assert(engine.open { limits = { labels_per_series = 3 } })
    local accepted = store:push { { metric { a = "1", b = "2" }, { T, 1 } } }
    local _, refused = store:push { { metric { a = "1", b = "2", c = "3" }, { T, 1 } } }
    assert.equal(1, accepted)
    assert.same({ invalid_labels = 1 }, refused)
    store:close()
  end)
end)

describe("many series", function()
  it("come back complete after many chunks", function()
    local store = assert(engine.open())
    local entries = {}
    for round = 1, 400 do
      for i = 1, 50 do
        local time = T - 4000000 + round * 10000
        entries[i] = { metric { i = tostring(i) }, { time, i * round + 0.5 } }
      end
      assert.equal(50, (store:push(entries)))
    end
    local found = 0
    for text, samples in pairs(store:query { { "__name__", "=", "m" } }) do
      local i = tonumber(text:match('i="(%d+)"'))
      assert.equal(400, #samples)
      for round, sample in ipairs(samples) do
        assert.equal(T - 4000000 + round * 10000, sample[1])
        assert.equal(i * round + 0.5, sample[2])
      end
      found = found + 1
    end
    assert.equal(50, found)
    local part = store:query({ { "i", "=", "7" } }, T - 3000000, T - 2900000)
    assert.equal(11, #part['{__name__="m", i="7"}'])
    assert.same({ T - 3000000, 7 * 100 + 0.5 }, part['{__name__="m", i="7"}'][1])
    store:close()
  end)
end)
