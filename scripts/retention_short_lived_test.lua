scripts "retention_short_lived"
retention "90d"

test("debug series go after two days, those of load tests after one", function()
  samples("debug_gc", { from = "2h" })
  samples('http_requests_total{job="loadtest"}', { from = "2h" })
  samples("go_goroutines", { from = "2h" })
  samples("my_debug_gc", { from = "2h" })
  advance "36h"
  expect.equal({ 1, 0 }, { #series "debug_gc", #series '{job="loadtest"}' })
  advance "24h"
  expect.equal({ 0, 1 }, { #series "debug_gc", #series "go_goroutines" })
  advance "12d"
  expect.equal({ 0, 1 }, { #series "go_goroutines", #series "my_debug_gc" })
end)
